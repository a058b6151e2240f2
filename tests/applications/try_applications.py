"""Whole applications, installed as their own documentation says, with nothing but `pgherd url`.

Each NAME.sh beside this file is one: what it needs (`# packages:`, `# npm:`, `# apt:`), and
functions: `prepare` its folder, `migrate`, `work` (what runs in the background; optional), `use`
(does its work and looks at what came of it; its argument counts the uses). They find the database
in URI, SQLALCHEMY_URI, ASYNCPG_URI and libpq's variables. Each is used, a planned switchover comes
in the middle of another use, it is used once more, dumped, and restored elsewhere with as many rows
in each table.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

from sandbox import Sandbox, sandbox

HERE = Path(__file__).resolve().parent
MINUTES = 10
ROWS = """\
SELECT string_agg(t || ' ' || n, E'\\n' ORDER BY t) FROM (
  SELECT format('%I.%I', schemaname, tablename) t,
         (xpath('/row/c/text()', query_to_xml(format('SELECT count(*) AS c FROM %I.%I',
          schemaname, tablename), false, true, '')))[1]::text n
    FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')) counted"""


class FailedError(Exception):
    """A step of an application did not do what it should."""


@dataclass(frozen=True)
class Application:
    """One of the scripts, and where it works."""

    name: str
    folder: Path
    fleet: Sandbox
    way: str

    @property
    def script(self) -> Path:
        return HERE / f"{self.name}.sh"

    def needs(self, kind: str) -> list[str]:
        """What its head names after `# KIND:`."""
        found = re.search(rf"^# {kind}: (.*)$", self.script.read_text(), re.MULTILINE)
        return found[1].split() if found else []

    def has(self, function: str) -> bool:
        return re.search(rf"^{function}\(\)", self.script.read_text(), re.MULTILINE) is not None

    def install(self, packages: Path) -> dict[str, str]:
        """Where its programs are, as variables; installed once below `packages`."""
        place = packages / self.name
        done = place / "done"
        wanted = repr([self.needs(kind) for kind in ("packages", "npm", "apt")])
        if not done.exists() or done.read_text() != wanted:
            place.mkdir(parents=True, exist_ok=True)
            if python := self.needs("packages"):
                run(["/usr/bin/python3", "-m", "venv", place / "venv"], place)
                run([place / "venv/bin/pip", "-q", "install", *python], place)
            if node := self.needs("npm"):
                (place / "package.json").write_text("{}")
                run(["npm", "install", "--no-audit", "--no-fund", *node], place)
            if apt := self.needs("apt"):
                run(["apt-get", "-q", "-y", "install", "--no-install-recommends", *apt], place)
            done.write_text(wanted)
        variables = {"PATH": f"{place}/venv/bin:{os.environ['PATH']}", "PYTHONWARNINGS": "ignore"}
        if self.needs("npm"):
            variables["NODE_PATH"] = str(place / "node_modules")
            link = self.folder / "node_modules"
            link.unlink(missing_ok=True)
            link.symlink_to(place / "node_modules")
        return variables

    def database(self, environment: str = "production") -> dict[str, str]:
        """How it finds its database."""
        id = f"{environment}/{self.name}"
        uri = self.fleet.run("url", id, f"--{self.way}").output.strip()
        lines = self.fleet.run("url", id, f"--{self.way}", "--variables").output.split("\n")
        pairs = (line.removeprefix("export ").partition("=") for line in lines if "=" in line)
        variables = {name: value.strip("'\"") for name, _, value in pairs}
        plain = "{PGUSER}@{PGHOST}:{PGPORT}/{PGDATABASE}".format(**variables)
        return variables | {
            "URI": uri,
            "SQLALCHEMY_URI": uri.replace("postgresql://", "postgresql+psycopg2://"),
            "ASYNCPG_URI": f"postgresql+asyncpg://{plain}",
        }

    def call(self, function: str, *arguments: str, env: dict[str, str]) -> None:
        """Run a function of its script; FailedError with the end of what it said."""
        run(self.command(function, *arguments), self.folder, env)

    def command(self, function: str, *arguments: str) -> list[str]:
        text = f'set -euo pipefail; . "{self.script}"; {" ".join((function, *arguments))}'
        return ["bash", "-c", text]

    @contextmanager
    def at_work(self, env: dict[str, str]) -> Iterator[None]:
        """With what it runs in the background, if it has that."""
        if not self.has("work"):
            yield
            return
        with (self.folder / "work.log").open("wb") as log:
            worker = subprocess.Popen(
                self.command("work"),
                cwd=self.folder,
                env=os.environ | env,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
            try:
                yield
            finally:
                os.killpg(worker.pid, signal.SIGTERM)
                try:
                    worker.wait(20)
                except subprocess.TimeoutExpired:
                    os.killpg(worker.pid, signal.SIGKILL)
                    worker.wait()

    def rows(self, env: dict[str, str]) -> str:
        done = run(["psql", "-X", "-q", "-At", "-c", ROWS], self.folder, env)
        return done.strip()


def run(command: list[str | Path], folder: Path, env: dict[str, str] | None = None) -> str:
    """A program's output; FailedError with the end of what it said."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | (env or {}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60 * MINUTES,
        check=False,
    )
    if done.returncode:
        said = [line for line in (done.stdout + done.stderr).split("\n") if line.strip()]
        raise FailedError(" / ".join(said[-3:])[-400:] or f"exit code {done.returncode}")
    return done.stdout


def dump_and_restore(
    application: Application, env: dict[str, str], elsewhere: dict[str, str]
) -> None:
    dump = application.folder / "dump"
    run(["pg_dump", "-Fc", "--no-owner", "--no-privileges", "-f", dump], application.folder, env)
    restore = ["pg_restore", "--no-owner", "--no-privileges", "-d", elsewhere["PGDATABASE"], dump]
    run(restore, application.folder, elsewhere)
    there, here = application.rows(elsewhere), application.rows(env)
    if there != here or not here:
        raise FailedError("the restored database differs")


def life(application: Application, packages: Path) -> Iterator[str]:
    """All of it; yields what has been done. FailedError at the first thing that is not right."""
    env = application.install(packages)
    yield "installed"
    env |= application.database()
    if application.has("prepare"):
        application.call("prepare", env=env)
    application.call("migrate", env=env)
    yield "migrated"
    with application.at_work(env):
        application.call("use", "1", env=env)
        yield "used"
        switched: list[BaseException] = []

        def switch() -> None:
            try:
                application.fleet.run("switchover", f"production/{application.name}")
            except BaseException as error:
                switched.append(error)

        thread = threading.Timer(0.5, switch)
        thread.start()
        try:
            application.call("use", "2", env=env)
            yield "used in a switchover"
        except FailedError as error:
            yield f"used in a switchover: {error}"
        thread.join()
        if switched:
            raise FailedError(str(switched[0]))
        application.call("use", "3", env=env)
        yield "used after a switchover"
    dump_and_restore(application, env, env | application.database("copy"))
    yield "dumped and restored"


def main() -> int:
    """Try those that are named, else all."""
    names = sorted(path.stem for path in HERE.glob("*.sh"))
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("names", nargs="*", choices=[*names, []], help="which; all by default")
    parser.add_argument("--transaction", action="store_true", help="by the names for transactions")
    parser.add_argument("--packages", type=Path, default=Path("/var/tmp/pgherd-applications"))
    options = parser.parse_args()
    chosen = options.names or names
    file = f"""\
fleet: applications
services: [{", ".join(chosen)}]
environments:
  production:
    {{engine: local, network: 10.0.0.0/16, ocpus: 2..40, storage: 1TB,
      availability_domains: 2, replicas: 1}}
  copy: {{engine: local, network: 10.1.0.0/16, ocpus: 2..40, storage: 1TB}}
"""
    failed = 0
    with sandbox(file) as fleet:
        fleet.run("up")
        for name in chosen:
            folder = fleet.state / "applications" / name
            folder.mkdir(parents=True)
            way = "transaction" if options.transaction else "session"
            application = Application(name, folder, fleet, way)
            began = time.monotonic()
            done: list[str] = []
            try:
                done.extend(life(application, options.packages))
                verdict = "works"
            except (FailedError, subprocess.TimeoutExpired) as error:
                verdict = f"fails: {error}"
                failed += 1
            took = time.monotonic() - began
            print(f"{name} ({way}, {took:.0f} s): {verdict}\n    {', '.join(done)}", flush=True)
            shutil.rmtree(folder, ignore_errors=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
