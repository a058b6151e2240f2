"""What `pgherd status` shows to people: a table an environment, or one database with all of it.

Pure functions from sights to cells. Instances are short here (`2` for `order-2`): a row is a line.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from pgherd.contract.observed import ObservedDatabase, ObservedInstance, Role
from pgherd.fleet.summary import Table
from pgherd.report.status import Sight
from pgherd.report.words import listed
from pgherd.units import number, rounded_bytes

_HEADER: tuple[str, ...] = ("Database", "State", "Primary", "Replicas", "OCPUs", "Durability")
_RECENT = "CPU, 10 min"


def status_tables(
    found: Sequence[Sight], target: str | None, recent: Mapping[str, str] | None = None
) -> Iterator[tuple[Table, tuple[str, ...]]]:
    """Tables, each with the lines that go below it.

    `recent` is a line of marks for each database: its CPU in the last minutes.
    """
    if target is not None and len(found) == 1 and str(found[0].id) == target:
        yield _database_table(found[0]), tuple(_facts(found[0]))
        return
    for environment in dict.fromkeys(s.id.environment for s in found):
        mine = [s for s in found if s.id.environment == environment]
        header, rows = _HEADER, [_row(sight) for sight in mine]
        if recent is not None:
            header = (*header, _RECENT)
            rows = [(*row, recent.get(str(s.id), "")) for row, s in zip(rows, mine, strict=True)]
        yield Table(_title(environment, mine), header, tuple(rows)), tuple(_notes(mine))


def _title(environment: str, found: Sequence[Sight]) -> str:
    states = Counter(s.state for s in found)
    instances = sum(i.serves for s in found if s.seen for i in s.seen.instances)
    what = ", ".join(f"{count} {state}" for state, count in states.items())
    title = f"{environment}: {what}; {number(instances, 'instance')} serving"
    known = [s.unprotected for s in found if s.unprotected is not None]
    return f"{title}; {known.count('')} protected" if known else title


def _row(sight: Sight) -> tuple[str, ...]:
    seen = sight.seen
    if seen is None:
        return (sight.id.service, sight.state, "", "", "", "")
    primary = next((i for i in seen.instances if i.role is Role.PRIMARY), None)
    others = [i for i in seen.instances if i is not primary]
    return (
        sight.id.service,
        sight.state,
        _instance(seen, primary) if primary else "",
        ", ".join(_instance(seen, i) for i in others),
        "" if seen.ocpus is None else str(seen.ocpus),
        str(seen.durability or ""),
    )


def _instance(database: ObservedDatabase, instance: ObservedInstance) -> str:
    """As in `1 AD2`, `2 AD3 0B`, `3 AD1 failed`; what goes for the whole database is left away."""
    words = [instance.name.removeprefix(f"{database.id.service}-")]
    if instance.availability_domain is not None:
        words.append(f"AD{instance.availability_domain}")
    if not instance.serves and instance.state.value != database.state.value:
        words.append(instance.state.value)
    elif instance.lag_bytes is not None:
        words.append(rounded_bytes(instance.lag_bytes))
    return " ".join(words)


def _notes(found: Sequence[Sight]) -> Iterator[str]:
    if shared := next((s.environment_detail for s in found if s.environment_detail), ""):
        yield f"{found[0].id.environment}: {shared}"
    # What many have in common is said once.
    by_detail: dict[str, list[str]] = {}
    for sight in found:
        if sight.detail:
            by_detail.setdefault(sight.detail, []).append(sight.id.service)
        if sight.seen and sight.seen.restart_pending:
            pending = f"settings wait for a restart of {listed(sight.seen.restart_pending)}"
            by_detail.setdefault(pending, []).append(sight.id.service)
        if sight.unprotected:
            why = f"not protected: {sight.unprotected}"
            by_detail.setdefault(why, []).append(sight.id.service)
    for detail, services in by_detail.items():
        names = listed(services) if len(services) <= 4 else f"{len(services)} databases"
        yield f"{names}: {detail}"


def _database_table(sight: Sight) -> Table:
    header = ("Instance", "Role", "State", "Availability domain", "Lag", "Address")
    rows = tuple(
        (
            i.name,
            i.role.value,
            i.state.value,
            "" if i.availability_domain is None else str(i.availability_domain),
            "" if i.lag_bytes is None else rounded_bytes(i.lag_bytes),
            i.address or "",
        )
        for i in (sight.seen.instances if sight.seen else ())
    )
    return Table(f"{sight.id}: {sight.state}", header, rows)


def _facts(sight: Sight) -> Iterator[str]:
    seen = sight.seen
    if seen is not None:
        facts = {
            "OCPUs": seen.ocpus,
            "durability": seen.durability,
            "PostgreSQL": seen.postgresql,
            "schema revision": seen.schema_revision,
            "restart pending": ", ".join(seen.restart_pending),
            "clients last served": seen.answered_at and f"{seen.answered_at:%H:%M:%S} UTC",
        }
        yield ""
        yield from (f"{name}: {value}" for name, value in facts.items() if value)
    if sight.unprotected is not None:
        yield f"protected: {f'no, {sight.unprotected}' if sight.unprotected else 'yes'}"
    if sight.detail:
        yield f"detail: {sight.detail}"
