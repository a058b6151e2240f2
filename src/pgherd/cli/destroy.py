"""`pgherd destroy`: databases are deleted, data and all, after a confirmation that names them.

Deletion protection is one thing and the confirmation another: what is protected wants its name
in `--yes-destroy` in any case, and the rest wants either that or a typed name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import click

from pgherd.cli.down import count_of
from pgherd.cli.failures import Failed
from pgherd.cli.fleet_option import command_line, fleet_option
from pgherd.cli.incomplete import ensure_complete
from pgherd.cli.output import ask, say
from pgherd.cli.progress import progress
from pgherd.cli.surroundings import Surroundings, pass_surroundings, wait_option
from pgherd.cli.targets import require_known
from pgherd.contract.engine import Engine
from pgherd.control.clock import Clock
from pgherd.control.destroy import destroy as destroy_everything
from pgherd.control.lookout import Lookout
from pgherd.control.outcome import Outcome
from pgherd.control.signals import run
from pgherd.decide.actions import DeleteDatabase
from pgherd.decide.plan import Plan
from pgherd.decide.removal import destroy_plan
from pgherd.errors import InputError, PgherdError
from pgherd.fleet.desired import Fleet
from pgherd.report.words import duration, few, listed
from pgherd.units import number


@click.command()
@click.argument("targets", metavar="[ENVIRONMENT|DATABASE]...", nargs=-1)
@click.option(
    "--yes-destroy",
    metavar="NAME",
    multiple=True,
    help="A database or environment to delete without asking, protected or not.",
)
@wait_option
@fleet_option
@pass_surroundings
def destroy(
    surroundings: Surroundings,
    fleet: Fleet,
    *,
    targets: tuple[str, ...],
    yes_destroy: tuple[str, ...],
    wait: bool,
) -> None:
    """Delete databases with all of their data.

    Everything, or what is named. Asks for the name of what is deleted to be typed, unless
    --yes-destroy names all of it. What has deletion protection is only deleted where
    --yes-destroy names it or its environment.
    """
    engines = surroundings.open_engines(fleet)
    with surroundings.lock(fleet, "destroy", wait=wait):
        planned = run(_plan(fleet, engines, targets, yes_destroy))
        _ensure_allowed(fleet, planned, targets, yes_destroy)
        if planned.is_empty and not planned.unknown:
            if not targets:
                surroundings.autopilot(fleet.name).end()
            say("nothing to do: nothing is there")
            return
        _ensure_confirmed(surroundings, fleet, planned, targets, yes_destroy)
        if not targets:
            surroundings.autopilot(fleet.name).end()
        clock = surroundings.clock()
        began = clock.now()
        outcome = run(_destroy(fleet, engines, targets, yes_destroy, clock))
    deleted = number(count_of(outcome.done, DeleteDatabase), "database")
    say(f"{deleted} deleted in {duration(clock.now() - began)}")
    ensure_complete(outcome)


async def _plan(
    fleet: Fleet,
    engines: Mapping[str, Engine],
    targets: tuple[str, ...],
    allow_destroy: tuple[str, ...],
) -> Plan:
    seen = await Lookout(engines).look_everywhere()
    require_known(fleet, seen, (*targets, *(n for n in allow_destroy if n != fleet.name)))
    return destroy_plan(fleet, seen, targets, allow_destroy)


async def _destroy(
    fleet: Fleet,
    engines: Mapping[str, Engine],
    targets: tuple[str, ...],
    allow_destroy: tuple[str, ...],
    clock: Clock,
) -> Outcome:
    with progress(clock, {}) as on_event:
        return await destroy_everything(
            fleet,
            engines,
            targets=targets,
            allow_destroy=allow_destroy,
            on_event=on_event,
            clock=clock,
        )


def _ensure_allowed(
    fleet: Fleet, planned: Plan, targets: Sequence[str], yes_destroy: Sequence[str]
) -> None:
    flags = dict.fromkeys(r.flag for r in planned.refused if r.flag)
    if not flags:
        return
    alone = _alone(fleet, targets, yes_destroy)
    hint = f"write {alone and f'{alone}, or '}{_command(targets, [*yes_destroy, *flags])}"
    known = {str(d.id) for d in fleet.databases}
    errors: list[PgherdError] = []
    for flag in flags:
        names = [r.subject for r in planned.refused if r.flag == flag]
        for is_known, why in ((True, "deletion protection"), (False, "no place in the fleet file")):
            mine = [name for name in names if (name in known) is is_known]
            if mine == [flag]:
                errors.append(InputError(f"{flag} has {why}", hint))
            elif mine:
                count = number(len(mine), "database")
                errors.append(InputError(f"{flag} has {count} with {why}: {few(mine)}", hint))
    raise Failed(errors)


def _ensure_confirmed(
    surroundings: Surroundings,
    fleet: Fleet,
    planned: Plan,
    targets: Sequence[str],
    yes_destroy: Sequence[str],
) -> None:
    """The user has named what is deleted: with flags, or by typing it now."""
    open_names = _not_named(fleet, planned, yes_destroy)
    if not open_names:
        return
    if not surroundings.is_interactive():
        raise InputError(
            f"{listed(open_names)}: nobody is there to confirm that the data is deleted",
            f"write {_command(targets, [*yes_destroy, *open_names])}",
        )
    for line in _what_goes(planned):
        say(line)
    names = _names(fleet, planned, targets)
    wanted = " ".join(names)
    if ask(f"type {wanted} to delete {'it' if len(names) == 1 else 'them'}").split() != names:
        alone = _alone(fleet, targets, yes_destroy)
        raise InputError("not confirmed: nothing was deleted", f"write {alone}" if alone else "")


def _names(fleet: Fleet, planned: Plan, targets: Sequence[str]) -> list[str]:
    """What is going to be deleted, by the names that it has."""
    if targets:
        return list(dict.fromkeys(targets))
    environments = [part.name for part in planned.environments]
    return environments if len(environments) == 1 else [fleet.name]


def _alone(fleet: Fleet, targets: Sequence[str], yes_destroy: Sequence[str]) -> str:
    """What who wrote `--yes-destroy staging` alone may have meant: without a target it is all."""
    if targets or not yes_destroy or fleet.name in yes_destroy:
        return ""
    return f"{_command(yes_destroy, yes_destroy)} to delete that alone"


def _not_named(fleet: Fleet, planned: Plan, yes_destroy: Sequence[str]) -> list[str]:
    if fleet.name in yes_destroy:
        return []
    found = []
    for part in planned.environments:
        if part.name in yes_destroy:
            continue
        databases = [str(d.id) for d in part.databases if str(d.id) not in yes_destroy]
        found += [part.name] if part.after else databases
    return found


def _what_goes(planned: Plan) -> Iterator[str]:
    yield "this deletes, and only backups can bring back:"
    for part in planned.environments:
        yield f"  {part.name}: {number(len(part.databases), 'database')} with all data"


def _command(targets: Sequence[str], names: Iterable[str]) -> str:
    flags = [word for name in dict.fromkeys(names) for word in ("--yes-destroy", name)]
    return command_line("destroy", *targets, flags=flags)
