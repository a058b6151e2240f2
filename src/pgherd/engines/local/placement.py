"""Where things of a fleet go on this machine: addresses, domains, programs, as manifests.

What has a place keeps it: addresses are in a book, and a manifest that was lost is made again from
what lies on the disk.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from pgherd.engines.local import addresses, etcd, library, pooler, postgres
from pgherd.engines.local.backup import pgbackrest
from pgherd.engines.local.layout import Layout
from pgherd.engines.local.manifest import (
    STORAGE_BYTES,
    DamagedManifest,
    DatabaseManifest,
    EnvironmentManifest,
    InstanceManifest,
    read_environment,
)
from pgherd.engines.local.values import LocalValues, copied_to
from pgherd.errors import NeedsHuman
from pgherd.files import Owner
from pgherd.fleet.desired import Database, DatabaseId

MOST_INSTANCES = 100


class Placement:
    """The places of one fleet; whoever writes the book of addresses does it for `owner`, too."""

    def __init__(self, layout: Layout, owner: Owner) -> None:
        self._layout = layout
        self._owner = owner

    def environment(self, name: str) -> EnvironmentManifest:
        """An environment that is to run, where it ran before."""
        try:
            known = read_environment(self._layout, name)
        except DamagedManifest:
            known = None
        if known:
            return self._backed_up(replace(known, running=True))
        book = self._book(f"{name}/etcd")
        return self._backed_up(
            EnvironmentManifest(
                name=name,
                etcd_address=str(book.address(f"{name}/etcd")),
                etcd_port=book.ports["etcd"],
                etcd_peer_port=book.ports["peer"],
                etcd_program=etcd.program(),
            )
        )

    def _backed_up(self, manifest: EnvironmentManifest) -> EnvironmentManifest:
        """With a repository, where this machine has what it takes."""
        program = pgbackrest.program()
        if program is None:
            return replace(manifest, backup_program="", repository_address="", archive_address="")
        return replace(
            manifest,
            backup_program=program,
            backup_port=self._book(f"{manifest.name}/repository").ports["backup"],
            repository_address=self._address(f"{manifest.name}/repository"),
            archive_address=self._address(f"{manifest.name}/archive"),
        )

    def database(self, database: Database) -> DatabaseManifest:
        """A database that is new here, with its first instance."""
        version, _ = postgres.choose(database.postgresql)
        manifest = self._database(database.id, version, database)
        return self.with_instance(manifest, database.environment.availability_domains)

    def recovered(self, id: DatabaseId, database: Database | None) -> DatabaseManifest:
        """A database whose manifest is damaged, from the configuration of its instances.

        Its size is the initial one again, where the fleet file says of it (`database`). NeedsHuman
        where no configuration is left.
        """
        left = {
            int(p.name): c
            for p in self._layout.database(id).iterdir()
            if p.name.isdigit() and (c := _read(p))
        }
        if not left:
            path = self._layout.database(id) / "database.json"
            raise NeedsHuman(
                f"{path} is damaged, and nothing else says what the instances of {id} were",
                f"restore it from a backup, or give it up with `pgherd destroy {id}`",
            )
        instances = tuple(
            InstanceManifest(number, left[number].domain, self._address(f"{id}/{number}"))
            for number in sorted(left)
        )
        first = next(iter(left.values()))
        # It counts as made: where no data is left of it, that is not for `up` to begin anew.
        return replace(
            self._database(id, first.postgresql, database),
            instances=instances,
            made=True,
            can_archive=first.can_archive,
            archive=first.archive,
        )

    def bare(self, id: DatabaseId) -> DatabaseManifest:
        """A database of which nothing else is known. It does not run."""
        return replace(self._database(id, postgres.choose(None)[0], None), running=False)

    def with_instance(self, manifest: DatabaseManifest, domains: int) -> DatabaseManifest:
        """One instance more, in the availability domain that has the fewest."""
        taken = {i.number for i in manifest.instances}
        number = next(n for n in range(1, MOST_INSTANCES) if n not in taken)
        used = [i.availability_domain for i in manifest.instances]
        first = sum(manifest.service.encode()) % domains
        order = [1 + (first + step) % domains for step in range(domains)]
        domain = min(order, key=lambda d: (used.count(d), order.index(d)))
        instance = InstanceManifest(number, domain, self._address(f"{manifest.id}/{number}"))
        return replace(manifest, instances=(*manifest.instances, instance))

    def sized(self, manifest: DatabaseManifest, database: Database, ocpus: int) -> DatabaseManifest:
        """With so many OCPUs; what one is, and what it may grow to, is what the fleet file says."""
        ocpu = database.environment.values_of(LocalValues)
        return self.limited(
            replace(
                manifest,
                ocpus=ocpus,
                memory_bytes=ocpus * ocpu.memory_per_ocpu_bytes,
                cores=ocpus * ocpu.core_per_ocpu,
            ),
            database,
        )

    def limited(self, manifest: DatabaseManifest, database: Database) -> DatabaseManifest:
        """What it may grow to is what the fleet file says, and a disk that is there.

        It can be backed up once this machine has what that takes.
        """
        return replace(
            manifest,
            least_ocpus=min(manifest.ocpus, database.ocpus.initial),
            max_ocpus=max(manifest.ocpus, database.ocpus.max),
            storage_bytes=self._storage(database.storage.initial_bytes),
            retention_days=database.backup.retention_days,
            copy_to=copied_to(database),
            stream=database.backup.stream,
            can_archive=manifest.can_archive or pgbackrest.lack(manifest.postgresql) is None,
        )

    def forget(self, name: str) -> None:
        """An environment, a database or an instance has no address any more."""
        book = addresses.open_book(self._layout.addresses, str(self._layout.root)).without(name)
        addresses.save_book(self._layout.addresses, book, self._owner)

    def _database(
        self, id: DatabaseId, version: int, database: Database | None
    ) -> DatabaseManifest:
        """One without instances; where the fleet file says nothing of it, of the smallest size."""
        book = self._book(f"{id}/pooler")
        manifest = DatabaseManifest(
            environment=id.environment,
            service=id.service,
            postgresql=version,
            bin_directory=str(postgres.choose(version)[1]),
            library=str(library.path(version)),
            can_archive=pgbackrest.lack(version) is None,
            can_count_statements=postgres.has_module(version, "pg_stat_statements"),
            pooler_program=str(self._pooler_program),
            postgresql_port=book.ports["postgresql"],
            patroni_port=book.ports["patroni"],
            pooler_address=str(book.address(f"{id}/pooler")),
            pooler_port=book.ports["pooler"],
            ocpus=1,
            least_ocpus=1,
            max_ocpus=1,
            memory_bytes=64 * 2**20,
            cores=0.0,
            storage_bytes=self._storage(STORAGE_BYTES),
            durability=str(database.durability) if database else "asynchronous",
            instances=(),
        )
        return self.sized(manifest, database, database.ocpus.initial) if database else manifest

    def _storage(self, wanted: int) -> int:
        return min(wanted, shutil.disk_usage(self._layout.root).total)

    def _address(self, name: str) -> str:
        return str(self._book(name).address(name))

    def _book(self, name: str) -> addresses.AddressBook:
        book = addresses.open_book(self._layout.addresses, str(self._layout.root)).including(name)
        addresses.save_book(self._layout.addresses, book, self._owner)
        return book

    @cached_property
    def _pooler_program(self) -> Path:
        return pooler.program()


@dataclass(frozen=True, slots=True)
class _Left:
    """What the configuration of an instance says of it."""

    domain: int
    postgresql: int
    can_archive: bool
    archive: str


def _read(folder: Path) -> _Left | None:
    """What patroni.yml says, which whoever runs pgherd wrote; None where it cannot be read."""
    try:
        content = json.loads((folder / "patroni.yml").read_text())
        programs = Path(content["postgresql"]["bin_dir"])
        version = next(v for v, path in postgres.installed().items() if path == programs)
        parameters = content["postgresql"]["parameters"]
        return _Left(
            domain=int(content["tags"]["availability_domain"]),
            postgresql=version,
            can_archive="archive_mode" in parameters,
            archive=pgbackrest.archive_of(parameters.get("archive_command", "")),
        )
    except (OSError, ValueError, KeyError, TypeError, StopIteration):
        return None
