"""What this machine can make of the databases that a fleet file wants."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Collection, Sequence

from pgherd.contract.offers import Offer
from pgherd.engines.local import control_trees, doctor, library, machine, postgres
from pgherd.engines.local.backup import pgbackrest, stores
from pgherd.engines.local.layout import Layout
from pgherd.engines.local.manifest import damaged_databases, read_databases
from pgherd.engines.local.values import Ability, LocalValues
from pgherd.errors import InputError, NeedsHuman
from pgherd.files import Owner
from pgherd.fleet.desired import Database


async def offers(layout: Layout, owner: Owner, databases: Collection[Database]) -> Sequence[Offer]:
    """New databases that this machine, its PostgreSQL or its paths have no room for."""
    known = {manifest.id for manifest in read_databases(layout)} | {*damaged_databases(layout)}
    new = [database for database in databases if database.id not in known]
    if not new:
        return []
    found = await asyncio.to_thread(machine.look, owner, layout.root)
    instances = sum(1 + database.replicas.min for database in new)
    needs = machine.findings(found, instances, layout.root, owner)
    lacks = tuple(need.objection for need in needs if need.objection)
    made = []
    for database in new:
        objections = lacks
        try:
            require_possible(layout, owner, database)
        except InputError as error:
            objections = (*lacks, error)
        if objections:
            made.append(Offer(database, objections=objections))
    return made


def require_possible(layout: Layout, owner: Owner, database: Database) -> None:
    """InputError where it cannot be made here."""
    if not layout.has_room_for_sockets(database.id):
        raise InputError(
            f"{database.id} is too long a name for a Unix socket below {layout.run}",
            "choose a shorter name, or set PGHERD_STATE to a shorter path",
        )
    if database.id.service == owner.name:
        raise InputError(
            f"service {database.id.service} is called like the user that databases run as",
            "choose another name for the service, or run pgherd as another user",
        )
    version, _ = postgres.choose(database.postgresql)
    library.path(version)
    values = database.environment.values_of(LocalValues)
    require_store(values)
    required = values.require
    if Ability.CPU_QUOTA in required and (lack := control_trees.lack(layout.root)):
        raise InputError(
            f"{database.environment.name} requires cpu-quota, and {lack}",
            "run pgherd as root, or by a user's unit that systemd delegates to, or leave `require` "
            "away",
        )


def require_store(values: LocalValues) -> None:
    """InputError where this machine's pgBackRest does not know the store that backups go to."""
    if (store := values.repository) is None:
        return
    path = pgbackrest.program()
    if path is None:
        raise InputError(
            f"pgBackRest is not installed, and backups go to {store}", "run `make setup`"
        )
    if lack := stores.lack(store.type, pgbackrest.version(path)):
        raise InputError(lack, "install a newer one, or choose another store")


def require_room(layout: Layout, instances: int) -> None:
    """There is room for so many new instances; NeedsHuman where there plainly is none."""
    free = shutil.disk_usage(layout.root).free
    wanted = instances * doctor.ROOM_FOR_INSTANCE
    if free < wanted:
        have, need = (bytes // doctor.MEGABYTE for bytes in (free, wanted))
        raise NeedsHuman(
            f"{layout.root} has {have} MB free, new instances need {need} MB",
            "free some space, or set PGHERD_STATE to another disk",
        )
