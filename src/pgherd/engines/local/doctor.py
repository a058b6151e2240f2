"""What this machine can and cannot do for the local engine, and what to do about it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from pgherd.contract.offers import Capability
from pgherd.engines.local import control_trees, etcd, library, machine, pooler, postgres
from pgherd.engines.local.backup import pgbackrest, stores
from pgherd.engines.local.backup.confining import can_confine
from pgherd.engines.local.backup.repository import USER, repository_owner
from pgherd.engines.local.layout import Layout, data_plane_owner
from pgherd.engines.local.values import StoreType
from pgherd.errors import PgherdError

MEGABYTE = 1000**2
GIGABYTE = 1000**3
ROOM_FOR_INSTANCE = 100 * MEGABYTE
"""A new cluster with its first WAL; its customers' data comes on top."""
ENOUGH_DISK = 10 * GIGABYTE
ENOUGH_MEMORY = 3 * GIGABYTE


def capabilities(layout: Layout) -> Sequence[Capability]:
    """All checks, the required ones first."""
    return sorted(_checks(layout), key=lambda c: not c.required)


def _checks(layout: Layout) -> Iterator[Capability]:
    yield _postgresql()
    yield from _libraries()
    yield from _pooler()
    yield _program("etcd", etcd.program)
    yield from _user(layout)
    yield _disk(layout)
    yield _memory()
    yield _root()
    yield _cgroups()
    yield from _backups()


def _postgresql() -> Capability:
    versions = sorted(postgres.installed())
    found = ", ".join(map(str, versions))
    if versions:
        return Capability("PostgreSQL", True, f"{found} installed")
    return Capability("PostgreSQL", False, "none of 14 to 18 is installed", "run `make setup`")


def _pooler() -> Iterator[Capability]:
    found = _program("PgBouncer", lambda: str(pooler.program()))
    yield found
    if found.available and pooler.has_known_holes(revision := pooler.revision(Path(found.detail))):
        yield Capability(
            "PgBouncer's safety",
            False,
            f"{revision} has holes that are known and mended in later ones",
            "run `make setup`, or install 1.25.2 or newer",
            required=False,
        )


def _libraries() -> Iterator[Capability]:
    for version in sorted(postgres.installed()):
        yield _program(f"library for {version}", partial(library.path, version))


def _program(name: str, find: Callable[[], object]) -> Capability:
    try:
        return Capability(name, True, str(find()))
    except PgherdError as error:
        return Capability(name, False, error.message, error.hint)


def _user(layout: Layout) -> Iterator[Capability]:
    try:
        owner = data_plane_owner()
    except PgherdError as error:
        yield Capability("unprivileged user", False, error.message, error.hint)
        return
    yield Capability("unprivileged user", True, f"databases run as {owner.name}")
    for found in machine.findings(machine.look(owner, layout.root), 1, layout.root, owner):
        if lack := found.objection:
            yield Capability(found.name, False, lack.message, lack.hint)
        else:
            yield Capability(found.name, True, found.detail)


def _disk(layout: Layout) -> Capability:
    place = layout.root
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    detail = f"{free / GIGABYTE:.1f} GB free at {place}"
    remedy = "free some, or set PGHERD_STATE to another disk"
    return Capability("disk", free > ENOUGH_DISK, detail, remedy if free <= ENOUGH_DISK else "")


def _memory() -> Capability:
    import psutil

    free = psutil.virtual_memory().available
    remedy = "60 instances need about 2.5 GB: stop other programs, or run fewer environments"
    enough = free > ENOUGH_MEMORY
    detail = f"{free / GIGABYTE:.1f} GB available"
    return Capability("memory", enough, detail, "" if enough else remedy)


def _backups() -> Iterator[Capability]:
    """What each PostgreSQL's backups need, and whose they are."""
    remedy = "install a pgBackRest that knows it, as from PostgreSQL's own package archive"
    for version in sorted(postgres.installed()):
        name = f"backups of PostgreSQL {version}"
        if lack := pgbackrest.lack(version):
            is_there = pgbackrest.program() is not None
            yield Capability(
                name, False, lack, remedy if is_there else "run `make setup`", required=False
            )
        else:
            yield Capability(name, True, str(pgbackrest.program()), required=False)
    if path := pgbackrest.program():
        has = pgbackrest.version(path)
        lacks = [lack for type in StoreType if (lack := stores.lack(type, has))]
        detail = ", ".join(["a directory", *stores.known(has)])
        more = f"; {'; '.join(lacks)}" if lacks else ""
        yield Capability("stores of backups", True, f"{detail}{more}", required=False)
    if os.geteuid() != 0:
        return
    owner = repository_owner()
    is_safe = can_confine()
    yield Capability(
        "mount namespaces",
        is_safe,
        "backups are read-only to the databases' user" if is_safe else "root may not make them",
        "" if is_safe else "give the container CAP_SYS_ADMIN, or trust the databases' user",
        required=False,
    )
    yield Capability(
        "user of backups",
        owner != data_plane_owner(),
        f"they belong to {owner.name}",
        ""
        if owner.name == USER
        else "run `make setup`: so far the databases' user can delete them",
        required=False,
    )


def _root() -> Capability:
    if os.geteuid() == 0:
        return Capability("root", True, "databases get a user of their own", required=False)
    return Capability(
        "root",
        False,
        "databases run as yourself, so they are not kept from your other programs",
        "run as root to give them the user postgres",
        required=False,
    )


def _cgroups() -> Capability:
    if reason := control_trees.lack(None):
        remedy = (
            "run as root, where control groups (v1, or v2 with the controller cpu) are mounted; or "
            "let systemd 254 delegate the controller to you, and run `pgherd service install`"
        )
        detail = f"{reason}: sizes set PostgreSQL's parameters only"
        return Capability("CPU quotas", False, detail, remedy, required=False)
    return Capability("CPU quotas", True, f"of {os.cpu_count()} cores", required=False)
