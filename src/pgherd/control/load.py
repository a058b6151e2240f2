"""Plays the service's customers on running databases, by the fleet's own program.

What the customers do is no business of pgherd's: the program named by `load` in the fleet file
reads from its standard input which databases it may use and prints what it met. pgherd finds
the databases, hands over how to open them, and puts the results together.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pgherd.contract.access import AccessRole
from pgherd.contract.engine import Engine
from pgherd.contract.observed import DatabaseState, Observation, Unknown
from pgherd.errors import InputError, NeedsHuman, TryLater
from pgherd.fleet.desired import Database, DatabaseId, Fleet, Pooling

_LONGEST_LINE = 1 << 20
_SERVING = (DatabaseState.RUNNING, DatabaseState.DEGRADED)


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


async def play(
    databases: Sequence[Database],
    engines: Mapping[str, Engine],
    wish: Mapping[str, Any],
    on_progress: Callable[[str], None],
) -> dict[str, Any]:
    """What all programs found. `wish` is what each is told beside its databases.

    TryLater where one of the databases does not serve. `on_progress` gets a line now and then.
    """
    await _require_serving(databases, engines)
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
            _run(program, {**wish, "targets": its}, on_progress)
            for program, its in zip(programs, targets, strict=True)
        )
    )
    return together(found)


async def _require_serving(databases: Iterable[Database], engines: Mapping[str, Engine]) -> None:
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


async def _run(
    program: Path, document: Mapping[str, Any], on_progress: Callable[[str], None]
) -> dict[str, Any]:
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
        output, complaints = await asyncio.gather(
            process.stdout.read(), _follow(process.stderr, on_progress)
        )
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


async def _follow(errors: asyncio.StreamReader, on_progress: Callable[[str], None]) -> list[str]:
    """Pass on the progress while it comes; the lines that are something else."""
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
            on_progress(shown)
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
