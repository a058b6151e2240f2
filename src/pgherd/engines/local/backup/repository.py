"""The repository of one environment: a folder of a user of its own, and a server of that user.

What is kept is in that folder, or in a store that the environment has. Root writes what that user
reads (configuration, certificate, keys of the encryption and of the store), starts its server, and
runs its commands with its rights; it neither opens nor follows what that user wrote.
Whoever has the data plane's rights reaches the repository through that server alone, each database
what is its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import pwd
import secrets
import signal
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from pgherd.engines.local import identity, listeners, lowered, processes
from pgherd.engines.local.backup import confining, host, pgbackrest, stores
from pgherd.engines.local.backup.pgbackrest import Stanza
from pgherd.engines.local.layout import Layout, data_plane_owner
from pgherd.engines.local.manifest import DatabaseManifest, EnvironmentManifest
from pgherd.engines.local.processes import Process
from pgherd.engines.local.values import Store
from pgherd.errors import Busy, NeedsHuman, TryLater
from pgherd.files import Owner, ensure_directory, read_private, write
from pgherd.pki.certificate import Place

USER = "pgherd-backup"
"""Whose the repositories are, where root runs pgherd and `make setup` has made it."""
LONGEST_SECRET = 32_768
LOCKED = 50
"""pgBackRest's exit code where another one of it is at work."""
LONG = ("backup", "verify")
"""What reads, compresses or compares all that there is: databases come first."""
START_SECONDS = 10.0
SERVED = "pgbackrest.conf"
"""What its server reads, and who hands WAL over names."""


def repository_owner() -> Owner:
    """The user that repositories belong to; the data plane's where there is no other one."""
    if os.geteuid() == 0:
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(USER)
            return Owner(entry.pw_uid, entry.pw_gid, entry.pw_name)
    return data_plane_owner()


class Repository:
    """That of an environment which has one."""

    def __init__(
        self,
        layout: Layout,
        manifest: EnvironmentManifest,
        configuration: str = SERVED,
        at: Path | None = None,
        region: str = "",
    ) -> None:
        """Or what is told of it by another configuration, or a region's copy that is there `at`."""
        self._at = at
        self.region = region
        self.layout = layout
        self.manifest = manifest
        self.owner = repository_owner()
        self.folder = layout.repository(manifest.name)
        self.private = self.folder / "private"
        """What its server does not see, and its owner else reads: keys of a store."""
        self.served = self.folder / SERVED
        is_own = manifest.store is None and configuration == SERVED
        self.configuration = (self.folder if is_own else self.private) / configuration

    def ensure_written(self, databases: Iterable[DatabaseManifest]) -> bool:
        """Its folders, and its configuration with those databases; whether that is new."""
        parent = self.folder.parent
        for folder, ours in ((parent, "*/repository"), (self.folder, "repository")):
            if folder.exists() and not any(folder.glob(ours)):
                folder.chmod(0o700)  # somebody has made it, to bring a key back
            ensure_directory(folder, self.owner)
        _let_pass(parent.parent)
        if self.owner.is_another and not lowered.may_enter(self.owner, self.folder):
            raise NeedsHuman(
                f"user {self.owner.name} may not enter {self.folder}",
                "let it pass through the folders above: `chmod o+x` on each of them",
            )
        if self.owner.is_another and self.folder.stat().st_gid != self.owner.gid:
            raise NeedsHuman(
                f"{self.folder} is not {self.owner.name}'s: that user is newer",
                f"run chgrp -R {self.owner.name} {self.folder.parent}, and chown -R "
                f"{self.owner.name} {self.folder / 'repository'} {self.folder / 'lock'}",
            )
        for name in ("repository", "lock"):
            # Its group may read there, but cannot write: who restores has no other right.
            self.owner.give(self.folder / name).chmod(0o750)
        parts = [self.folder / "repository" / name for name in ("backup", "archive")]
        if not all(part.is_dir() for part in parts):
            subprocess.run(
                ["/bin/mkdir", "-p", "-m", "0750", *parts],
                check=True,
                **lowered.options(self.owner, self.folder),
            )
        # pgBackRest wants one at least: that is the owner itself.
        clients = {identity.REPOSITORY: "*"} | {
            identity.archive_name(database.service): database.archive
            for database in databases
            if database.archive
        }
        text = self.text(clients)
        seen, keys = stores.apart(text)
        if self.manifest.store:
            self.write(self.configuration, text)
            digest = hashlib.sha256("".join(keys.values()).encode()).hexdigest()
            seen += f"# its server has the key {digest[:16]} in its environment\n"
        return write(self.served, seen, self.owner)

    def write(self, path: Path, text: str) -> None:
        """A configuration that its server does not see."""
        ensure_directory(self.private, self.owner)
        write(path, text, self.owner)

    def text(self, clients: Mapping[str, str], reading_at: int | None = None) -> str:
        """A configuration of it: a server, and what each client's name opens.

        One that only reads has a port of its own, and the key of a store that cannot write, where
        there is one.
        """
        manifest = self.manifest
        port = reading_at or manifest.backup_port
        mine = host.door(manifest.repository_address, port, self._place)
        kept = pgbackrest.repository(
            self.folder, self._key(), self._store(is_read=reading_at is not None)
        )
        return f"[global]\n{kept}{pgbackrest.server(mine, clients)}"

    @property
    def is_copy(self) -> bool:
        """Whether it is read from a copy elsewhere."""
        return self._at is not None

    @property
    def _place(self) -> Place:
        return identity.repository_place(self.layout, self.manifest.name)

    def _store(self, *, is_read: bool) -> str:
        """The options of its store, with the secret; InputError where that cannot be had."""
        if self._at:
            return f"repo1-path={self._at}\n"
        if (store := self.manifest.store) is None:
            return ""
        copy = self.folder / ("read.key" if is_read else "store.key")
        options, secret = _opening(store, copy, is_read=is_read)
        if store.type in stores.COPIED:
            write(copy, secret, self.owner)
        return options

    def require_opens(self) -> None:
        """InputError where the keys of its store cannot be read, or are none."""
        if store := self.manifest.store:
            for is_read in (False, True):
                _opening(store, self.folder, is_read=is_read)

    @property
    def key_file(self) -> Path:
        """What it is encrypted with, which opens its copies, too."""
        return self.folder / "encryption.key"

    @property
    def has_key(self) -> bool:
        """Whether that is there, or can be found."""
        return self.key_file.exists() or self.served.exists()

    def _key(self) -> str:
        """What the repository is encrypted with: it stays as long as that does."""
        path = self.key_file
        with contextlib.suppress(FileNotFoundError):
            path.chmod(0o600)
            return path.read_text().strip()
        if self.served.exists():  # what has it still
            key = pgbackrest.key_of(self.served.read_text())
        elif any((self.folder / "repository" / "backup").glob("*")):
            raise NeedsHuman(
                f"the key {path} is lost",
                "bring it back from a copy; without it nobody can read what is there",
            )
        else:
            key = secrets.token_urlsafe(48)
        write(path, f"{key}\n", durable=True)
        return key

    # Its server

    def process(self) -> int | None:
        """Its server, where one runs."""
        found = processes.by_folder(self.owner.uid).get(os.path.realpath(self.folder), [])
        command = pgbackrest.command(self.manifest.backup_program, self.served, "server")
        mine = (pid for pid in found if processes.title(pid).split("\0")[: len(command)] == command)
        return next((pid for pid in mine if not _is_of_a_client(pid)), None)

    async def ensure_running(self) -> None:
        """Its server listens, and has read its files. It is started anew: a SIGHUP ends it."""
        pid = self.process()
        process = Process.of(pid) if pid else None
        if process:
            files = host.read_at_start(self.served, self._place)
            has_read = processes.has_read(process.identity, files)
            if has_read and await self.answers():
                return
            process.signal(signal.SIGKILL)
        loop = asyncio.get_running_loop()
        deadline, started = loop.time() + START_SECONDS, float("-inf")
        # One that is being ended seems to run, and to answer.
        while (process and process.is_alive) or not (self.process() and await self.answers()):
            if self.process() is None and loop.time() - started > 0.5:
                started = loop.time()
                self._start()
            if loop.time() > deadline:
                raise self._does_not_start()
            await asyncio.sleep(0.02)

    def _start(self) -> None:
        """It outlives this process.

        Whoever may hand WAL over can do with the repository's files what its server can, since
        pgBackRest serves its whole protocol to each client, which says itself where that is to
        happen. So to this server all but WAL is read-only; backups have all the WAL in them that
        they need. No folder can be that for a store, of which the server has the key in its
        environment: what it sees of files a client can have.
        """
        owner, options = self.owner, lowered.options(self.owner, self.folder)
        program = self.manifest.backup_program
        command = pgbackrest.command(program, self.served, "server")
        _, keys = stores.apart(self.configuration.read_text())
        options["env"] = {**options["env"], **keys}
        ensure_directory(self.private, owner)
        command, options = confining.confined(self.folder, self.private, command, owner, options)
        with (self.folder / "server.log").open("ab") as log:
            subprocess.run(
                [*lowered.DETACHED, *command],
                check=True,
                **{**options, "cwd": self.folder, "stdout": log, "stderr": log},
            )

    def _does_not_start(self) -> NeedsHuman:
        manifest, why = self.manifest, f"see {self.folder / 'server.log'}"
        at = (manifest.repository_address, manifest.backup_port)
        if listeners.user_of(*at) not in (None, self.owner.uid):
            why = f"{listeners.taken_by(*at)}: end that"
        return NeedsHuman(f"the backup repository of {manifest.name} does not start", why)

    def ensure_stopped(self) -> None:
        """No server of it runs."""
        if (pid := self.process()) and (process := Process.of(pid)):
            process.signal(signal.SIGTERM)

    async def answers(self) -> bool:
        """Whether its server listens there."""
        return await answers(self.manifest, self.owner)

    # What its owner does

    async def run(
        self, name: str, stanza: str | None = None, options: Iterable[str] = (), of: str = ""
    ) -> bytes:
        """A command of pgBackRest as the owner; what it prints. Busy, or TryLater with its word."""
        code, output, said = await self.outcome(name, stanza, options, of)
        if code == LOCKED:
            raise Busy(f"the backup repository of {self.manifest.name} is at work for {stanza}")
        if code != 0:
            lines = said.decode(errors="replace").splitlines()
            raise TryLater(f"pgbackrest {name}: {pgbackrest.complaint(lines)}")
        return output

    async def outcome(
        self, name: str, stanza: str | None = None, options: Iterable[str] = (), of: str = ""
    ) -> tuple[int, bytes, bytes]:
        """How it ends, what it prints, and what it says beside that."""
        program = self.manifest.backup_program
        command = pgbackrest.command(program, self.configuration, name, stanza, options, of)
        gentle = lowered.SECOND if name in LONG else ()
        return await lowered.call(self.owner, self.folder, [*lowered.PARENTAL, *gentle, *command])

    async def stanzas(self) -> dict[str, Stanza]:
        """What it has of each incarnation of a database, by its name."""
        return pgbackrest.stanzas(await self.run("info", options=["--output=json"]))

    def stanza_of(
        self, stanzas: Mapping[str, Stanza], archive: str, *, is_new: bool = False
    ) -> Stanza:
        """What it has of one of them. NeedsHuman where that cannot be read."""
        found = stanzas.get(archive, Stanza())
        if found.trouble and not is_new:
            raise NeedsHuman(found.trouble, f"see {self._at or self.folder}")
        return found


async def answers(manifest: EnvironmentManifest, owner: Owner, port: int | None = None) -> bool:
    """Whether a server of that user takes connections for an environment: anybody may ask."""
    address, port = manifest.repository_address, port or manifest.backup_port
    if listeners.user_of(address, port) != owner.uid:
        return False
    try:
        async with asyncio.timeout(1.0):
            _, writer = await asyncio.open_connection(address, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


async def silent_repositories(environments: Iterable[EnvironmentManifest]) -> dict[str, str]:
    """Those of environments that run, and whose repository takes no connections."""
    wanted = [e for e in environments if e.running and e.repository_address]
    found = await asyncio.gather(*(answers(e, repository_owner()) for e in wanted))
    return {
        e.name: f"the backup repository of {e.name} does not answer"
        for e, does_answer in zip(wanted, found, strict=True)
        if not does_answer
    }


def _opening(store: Store, copy: Path, *, is_read: bool) -> tuple[str, str]:
    """Options by which a store is opened, and the secret in them; InputError without it."""
    source = Path((is_read and store.read_key_file) or store.key_file)
    secret = read_private(source, LONGEST_SECRET, "write the key of the store into it")
    return stores.text(store, secret, source, copy), secret


def _is_of_a_client(pid: int) -> bool:
    """Whether it serves one client of the server, which has started it."""
    parent = processes.parent(pid)
    return parent is not None and processes.title(parent) == processes.title(pid)


def _let_pass(folder: Path) -> None:
    """Others may pass through a folder of ours, and see nothing of it."""
    found = folder.stat()
    if found.st_uid == os.geteuid():
        folder.chmod((found.st_mode & 0o7777) | 0o001)
