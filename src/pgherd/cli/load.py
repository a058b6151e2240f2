"""`pgherd load`: the service's customers, played on running databases by the fleet's own program.

What the customers do is no business of pgherd's: the program named by `load` in the fleet file
reads from its standard input which databases it may use and prints what it met. pgherd finds
the databases, hands over how to open them, and shows the results.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from pgherd.cli.fleet_option import fleet_option
from pgherd.cli.output import say, say_json
from pgherd.cli.surroundings import Surroundings, pass_surroundings
from pgherd.cli.tables import print_table
from pgherd.engine import AccessRole, DatabaseState, Engine, Observation, Unknown
from pgherd.errors import InputError, NeedsHuman, TryLater
from pgherd.fleet.desired import Database, DatabaseId, Fleet, Pooling
from pgherd.fleet.summary import Table

_LONGEST_LINE = 1 << 20
_SERVING = (DatabaseState.RUNNING, DatabaseState.DEGRADED)


@click.command()
@click.option("--service", metavar="S", help="Only this service.  [default: all]")
@click.option("--environment", metavar="E", help="Only this environment.  [default: all]")
@click.option(
    "--seconds", type=click.FloatRange(min=0, min_open=True), default=10, show_default=True
)
@click.option(
    "--clients",
    type=click.IntRange(min=1),
    default=4,
    show_default=True,
    help="How many customers at once, in each environment.",
)
@click.option("--seed", type=int, default=0, help="What the customers' choices follow from.")
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON.")
@fleet_option
@pass_surroundings
def load(
    surroundings: Surroundings,
    fleet: Fleet,
    *,
    service: str | None,
    environment: str | None,
    seconds: float,
    clients: int,
    seed: int,
    as_json: bool,
) -> None:
    """Play customers and say how they fared."""
    wish = {
        "seconds": seconds,
        "clients": clients,
        "seed": seed,
        "progress": sys.stderr.isatty(),
    }
    databases = chosen(fleet, service, environment)
    found = asyncio.run(_play(databases, surroundings.open_engines(fleet), wish))
    if as_json:
        say_json(found)
    else:
        print_table(results_table(found))
    if not found["ok"]:
        raise NeedsHuman("; ".join(broken(found)), "run it with --json to see the ids")


def chosen(fleet: Fleet, service: str | None, environment: str | None) -> list[Database]:
    """The databases to play on; InputError where nobody says what their customers do."""
    if environment is not None:
        fleet.environment(environment)
    selected = [
        d
        for d in fleet.databases
        if service in (None, d.id.service) and environment in (None, d.id.environment)
    ]
    if service is not None and not selected:
        fleet.database(DatabaseId(environment or fleet.environments[0].name, service))
    played = [d for d in selected if d.load is not None]
    if not played:
        what = " ".join(str(d.id) for d in selected[:3]) + (" ..." if len(selected) > 3 else "")
        raise InputError(
            f"{fleet.path} names no load for {what}",
            "write `load: PROGRAM` in the fleet file, as in examples/ecommerce/fleet.yaml",
        )
    return played


async def _play(
    databases: Sequence[Database], engines: Mapping[str, Engine], wish: Mapping[str, Any]
) -> dict[str, Any]:
    await _ensure_serving(databases, engines)
    programs: dict[Path, list[Database]] = {}
    for database in databases:
        if database.load is not None:
            programs.setdefault(database.load, []).append(database)
    targets = [
        await asyncio.gather(*(_target(d, engines[d.environment.engine]) for d in its))
        for its in programs.values()
    ]
    found = await asyncio.gather(
        *(
            _run(program, {**wish, "targets": its})
            for program, its in zip(programs, targets, strict=True)
        )
    )
    return together(found)


async def _ensure_serving(databases: Iterable[Database], engines: Mapping[str, Engine]) -> None:
    used = sorted({d.environment.engine for d in databases})
    seen = await asyncio.gather(*(engines[name].observe() for name in used))
    observed = dict(zip(used, seen, strict=True))
    silent = [
        f"{d.id} {state}"
        for d in databases
        if (state := _unserving(d.id, observed[d.environment.engine]))
    ]
    if silent:
        rest = f" and {len(silent) - 3} more" if len(silent) > 3 else ""
        raise TryLater(", ".join(silent[:3]) + rest, "start the databases with `pgherd up`")


def _unserving(id: DatabaseId, observation: Observation) -> str:
    match observation.databases.get(id):
        case None:
            return "does not exist"
        case Unknown(reason=reason):
            return f"is not seen: {reason}"
        case observed if observed.state not in _SERVING:
            return f"is {observed.state}"
    return ""


async def _target(database: Database, engine: Engine) -> dict[str, Any]:
    # Customers may be more than sessions, and keep nothing from one transaction to the next.
    pooling = Pooling.TRANSACTION
    service, readers = await asyncio.gather(
        engine.access(database.id, AccessRole.SERVICE, pooling),
        engine.access(database.id, AccessRole.READ_ONLY, pooling),
    )
    return {
        "environment": database.id.environment,
        "service": database.id.service,
        "read_write": service.parameters(),
        "read_only": readers.parameters(),
    }


async def _run(program: Path, document: Mapping[str, Any]) -> dict[str, Any]:
    """What the program found. It is not left behind, whatever happens here."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-E",
        "-s",
        program,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=_LONGEST_LINE,
    )
    assert process.stdin and process.stdout and process.stderr  # noqa: S101 - all are pipes
    try:
        process.stdin.write(json.dumps(document).encode())
        process.stdin.close()
        output, complaints = await asyncio.gather(process.stdout.read(), _follow(process.stderr))
        code = await process.wait()
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
    if code != 0:
        last = complaints[-1] if complaints else "it said nothing"
        raise NeedsHuman(f"{program} ended with {code}: {last}", "mend the load program")
    try:
        found: dict[str, Any] = json.loads(output)
    except ValueError as error:
        raise NeedsHuman(
            f"{program} printed no JSON: {error}", "let it print its results only"
        ) from error
    return found


async def _follow(errors: asyncio.StreamReader) -> list[str]:
    """Show the progress while it comes; the lines that are something else."""
    complaints = []
    async for raw in errors:
        line = raw.decode(errors="replace").strip()
        try:
            now = json.loads(line)
            shown = (
                f"{now['second']:>4} s  {now['tps']:>7} transactions/s  {now['errors']:>5} errors"
            )
        except (ValueError, KeyError, TypeError):
            complaints += [line] if line else []
        else:
            say(shown, err=True)
    return complaints


def together(found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The results of all programs as one. Keys are only ever added."""
    return {
        "seconds": max(f["seconds"] for f in found),
        "clients": max(f["clients"] for f in found),
        "seed": found[0]["seed"],
        "ok": all(f["ok"] for f in found),
        "transactions": sum(d["transactions"] for f in found for d in f["databases"]),
        "tps": round(sum(d["tps"] for f in found for d in f["databases"]), 1),
        "databases": [d for f in found for d in f["databases"]],
    }


def results_table(found: Mapping[str, Any]) -> Table:
    """A row for each database."""
    header = (
        "Database",
        "Transactions",
        "TPS",
        "Errors",
        "p50 ms",
        "p95 ms",
        "p99 ms",
        "max ms",
        "Longest stall ms",
        "Acknowledged",
        "Lost",
        "Invariants",
    )
    title = (
        f"{found['transactions']:,} transactions in {found['seconds']:.1f} s:"
        f" {found['tps']:,.0f} TPS, {found['clients']} clients in each environment"
    )
    return Table(title, header, tuple(_row(d) for d in found["databases"]))


def _row(database: Mapping[str, Any]) -> tuple[str, ...]:
    latency = database["latency_ms"]
    errors = " ".join(f"{kind}:{count}" for kind, count in database["errors"].items())
    violated = sum(1 for i in database["invariants"] if i["violations"])
    hold = f"{violated} violated" if violated else f"{len(database['invariants'])} hold"
    is_verified = database["verified"]
    return (
        f"{database['environment']}/{database['service']}",
        f"{database['transactions']:,}",
        f"{database['tps']:,.0f}",
        errors or "0",
        *(f"{latency[p]:.1f}" for p in ("p50", "p95", "p99", "max")),
        f"{database['longest_stall_ms']:.0f}",
        f"{sum(database['acknowledged'].values()):,}",
        str(database["lost"]) if is_verified else "unknown",
        hold if is_verified else "unknown",
    )


def broken(found: Mapping[str, Any]) -> list[str]:
    """What should not be, one phrase for each database."""
    phrases = []
    for database in found["databases"]:
        name = f"{database['environment']}/{database['service']}"
        if not database["verified"]:
            phrases.append(f"{name} was not checked: {database.get('reason', 'no reason given')}")
            continue
        if database["lost"]:
            phrases.append(f"{name} lost {database['lost']} acknowledged writes")
        phrases += [
            f"{name} violates {i['name']!r} {i['violations']} times"
            for i in database["invariants"]
            if i["violations"]
        ]
    return phrases
