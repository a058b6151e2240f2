"""The local engine: the contract of `pgherd.contract`, kept on this machine.

It writes down what is wanted (manifests, configuration, certificates) and asks the agent to make
it so. Only the agent touches processes. What only changes need (cryptography, HTTP) is imported
where it is used, so that a look stays quick.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from pgherd import __version__
from pgherd.contract.access import Access, AccessRole
from pgherd.contract.certificates import CertificateInfo
from pgherd.contract.logs import LogLine
from pgherd.contract.observed import Observation
from pgherd.contract.offers import Capability, Offer
from pgherd.engines.local import (
    addresses,
    doctor,
    door,
    etcd,
    identity,
    library,
    logs,
    lowered,
    machine,
    observation,
    patroni,
    pooler,
    postgres,
    processes,
    rpc,
)
from pgherd.engines.local.agent.seen import Condition
from pgherd.engines.local.agent_client import AgentClient
from pgherd.engines.local.layout import Layout, data_plane_owner
from pgherd.engines.local.manifest import (
    DatabaseManifest,
    EnvironmentManifest,
    InstanceManifest,
    read_database,
    read_databases,
    read_environment,
    read_environments,
    write_database,
    write_environment,
)
from pgherd.engines.local.section import LOCAL
from pgherd.errors import InputError, NeedsHuman, TryLater
from pgherd.files import ensure_directory, ensure_trusted, write
from pgherd.fleet.desired import Database, DatabaseId, Durability, Environment, Pooling
from pgherd.fleet.names import pooled_name

LAYOUT = 4
"""How the state folder is divided, and what its poolers serve. Nothing converts another into it."""
AT_ONCE_PER_CPU = 8
"""Databases that are worked on; most of the time each of them waits for something."""
ETCD_SECONDS = 30.0
ETCD_HOPE_SECONDS = 5.0
LED_SECONDS = 120.0
COMPLETE_SECONDS = 600.0
DURABLE_SECONDS = 60.0
RELOAD_SECONDS = 30.0


class LocalEngine:
    """Databases on this machine, with all of their state below `layout.root`."""

    name = "local"
    deadline: float | None = None
    backups: None = None
    meter: None = None
    settings: None = None

    def __init__(self, fleet: str, layout: Layout, concurrency: int | None = None) -> None:
        self.fleet = fleet
        self.layout = layout
        self.concurrency = concurrency or AT_ONCE_PER_CPU * (os.cpu_count() or 1)
        self._owner = data_plane_owner()
        self._agent = AgentClient(layout, self._owner)
        self._writing: defaultdict[DatabaseId, asyncio.Lock] = defaultdict(asyncio.Lock)
        self.certificates = _Certificates(self)
        self.logs = _Logs(self)
        self.reach = _Reach(self)

    # Seeing

    async def capabilities(self) -> Sequence[Capability]:
        """What this machine can and cannot do."""
        return doctor.capabilities(self.layout)

    async def offers(self, databases: Collection[Database]) -> Sequence[Offer]:
        """New databases that this machine, its PostgreSQL or its paths have no room for."""
        known = {manifest.id for manifest in read_databases(self.layout)}
        new = [database for database in databases if database.id not in known]
        if not new:
            return []
        found = await asyncio.to_thread(machine.look, self._owner, self.layout.root)
        instances = sum(1 + database.replicas.min for database in new)
        needs = machine.findings(found, instances, self.layout.root, self._owner)
        lacks = tuple(need.objection for need in needs if need.objection)
        offers = []
        for database in new:
            objections = lacks
            try:
                self._check(database)
            except InputError as error:
                objections = (*lacks, error)
            if objections:
                offers.append(Offer(database, objections=objections))
        return offers

    def _check(self, database: Database) -> None:
        """InputError where it cannot be made here."""
        if not self.layout.has_room_for_sockets(database.id):
            raise InputError(
                f"{database.id} is too long a name for a Unix socket below {self.layout.run}",
                "choose a shorter name, or set PGHERD_STATE to a shorter path",
            )
        if database.id.service == self._owner.name:
            raise InputError(
                f"service {database.id.service} is called like the user that databases run as",
                "choose another name for the service, or run pgherd as another user",
            )
        version, _ = postgres.choose(database.postgresql)
        library.path(version)

    async def observe(self, *, roles: bool = True) -> Observation:
        """What the manifests want, and what runs of it."""
        self._read_claim()
        environments = list(read_environments(self.layout))
        databases = list(read_databases(self.layout))
        try:
            status = await self._agent.ask(door.Observe())
        except TryLater as error:
            running = processes.by_folder(self._owner.uid) if databases else {}
            why = observation.NO_AGENT if isinstance(error, rpc.NoAgent) else error.message
            return observation.without_agent(self.layout, environments, databases, running, why)
        return observation.with_agent(environments, databases, status)

    # Environments

    async def ensure_environment(self, environment: Environment) -> None:
        """Its authorities, certificates and etcd; the agent."""
        self._claim()
        manifest = self._environment_manifest(environment.name)
        ensure_directory(self.layout.etcd(manifest.name), self._owner)
        self._ensure_certificates(manifest.name, identity.of_environment(self.layout, manifest))
        write_environment(self.layout, manifest, self._owner)
        await self._agent.ask_once_it_runs(door.ConvergeEnvironment(manifest.name))
        await self._wait_for_etcd(manifest.name)
        if await self._agent.ask(door.AreCertificatesDue(manifest.name)):
            await self.certificates.ensure_valid(manifest.name)

    async def _wait_for_etcd(self, environment: str) -> None:
        """The agent watches it; where it does not soon, it is mended, or the reason given early."""
        if await self._agent.ask(door.AwaitEnvironment(environment, ETCD_HOPE_SECONDS)):
            return
        await self._agent.ask(door.MendEnvironment(environment))
        if not await self._agent.ask(door.AwaitEnvironment(environment, ETCD_SECONDS)):
            raise TryLater(f"etcd of {environment} does not answer")

    async def ensure_environment_stopped(self, environment: str) -> None:
        """Its etcd does not run; nor does the agent when nothing else is wanted."""
        manifest = self._existing_environment(environment)
        write_environment(self.layout, replace(manifest, running=False), self._owner)
        await self._agent.ask_once_it_runs(door.ConvergeEnvironment(environment))
        if not any(e.running for e in read_environments(self.layout)):
            await self._agent.stop()

    async def ensure_environment_absent(self, environment: str) -> None:
        """Nothing of it is left: no etcd, no authority."""
        if read_environment(self.layout, environment) is None:
            return
        if any(d.environment == environment for d in read_databases(self.layout)):
            raise InputError(f"{environment} still has databases", "remove them first")
        await self.ensure_environment_stopped(environment)
        layout = self.layout
        await self._remove(
            layout.log / environment, layout.etcd_data(environment), layout.instances / environment
        )
        for folder in (layout.databases / environment, layout.environment(environment)):
            shutil.rmtree(folder, ignore_errors=True)
        self._forget_addresses(environment)
        if not list(read_environments(layout)):
            await self._remove_everything()

    async def _remove_everything(self) -> None:
        """Nothing is left of the fleet: first what its data plane wrote, then the rest."""
        own = [path for path in self.layout.data_plane if path.exists()]
        await self._remove(*(inside for path in own for inside in path.iterdir()))
        shutil.rmtree(self.layout.root, ignore_errors=True)

    # Databases

    async def ensure_database(self, database: Database) -> None:
        """It exists and all of its instances run; made with its primary alone."""
        environment = read_environment(self.layout, database.id.environment)
        if environment is None or not environment.running:
            raise TryLater(f"environment {database.id.environment} does not run")
        manifest = read_database(self.layout, database.id)
        if manifest is None:
            self._ensure_room(1)
            self._check(database)
            manifest = self._new_manifest(database)
        await self._make_so(replace(manifest, running=True))

    async def ensure_replicas(self, database: Database, count: int) -> None:
        """That many replicas stream."""
        manifest = self._existing(database.id)
        if count + 1 < len(manifest.instances):
            await self._remove_instances(manifest, count)
            return
        self._ensure_room(count + 1 - len(manifest.instances))
        while len(manifest.instances) < count + 1:
            manifest = self._with_instance(manifest, database.environment.availability_domains)
        await self._make_so(manifest)

    async def ensure_ocpus(self, database: Database, ocpus: int) -> None:
        """PostgreSQL's settings follow the size, as far as they can without a restart."""
        memory = ocpus * LOCAL.of(database.environment).memory_per_ocpu_bytes
        manifest = replace(
            self._existing(database.id),
            ocpus=ocpus,
            max_ocpus=max(ocpus, database.ocpus.max),
            memory_bytes=memory,
        )
        await self._reconfigure(manifest)

    async def ensure_durability(self, database: Database, durability: Durability) -> None:
        """Patroni's synchronous mode is on, or off."""
        await self._reconfigure(replace(self._existing(database.id), durability=str(durability)))
        if durability is Durability.SYNCHRONOUS:
            await self._wait(database.id, Condition.DURABLE, DURABLE_SECONDS)

    async def ensure_restarted(self, id: DatabaseId, instance: str) -> None:
        """PostgreSQL of one instance was restarted, if its settings waited for it."""
        self._existing(id)
        await self._agent.ask(door.Restart(str(id), instance))
        await self._wait(id, Condition.COMPLETE, COMPLETE_SECONDS)

    async def ensure_stopped(self, id: DatabaseId) -> None:
        """Its processes are gone, its files kept."""
        manifest = self._existing(id)
        write_database(self.layout, replace(manifest, running=False), self._owner)
        await self._agent.ask_once_it_runs(door.ConvergeDatabase(str(id)))

    async def ensure_absent(self, id: DatabaseId) -> None:
        """Its processes and all of its files are gone, its manifest last."""
        if read_database(self.layout, id) is None:
            return
        await self.ensure_stopped(id)
        manifest, layout = self._existing(id), self.layout
        await self._remove(
            layout.kept(id),
            layout.database_log(id),
            layout.pooler_socket_folder(id),
            *(layout.socket_folder(id, i.number) for i in manifest.instances),
        )
        folder = layout.database(id)
        for path in folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
        self._forget_addresses(str(id))
        shutil.rmtree(folder)

    async def switchover(self, id: DatabaseId, target: str | None = None) -> str:
        """Another instance leads; clients wait in the pooler meanwhile."""
        self._existing(id)
        return await self._agent.ask(door.SwitchOver(str(id), target))

    async def failover(self, id: DatabaseId, target: str | None = None) -> str:
        """Another instance leads, whatever becomes of the old primary."""
        self._existing(id)
        return await self._agent.ask(door.SwitchOver(str(id), target, forced=True))

    async def access(
        self, id: DatabaseId, role: AccessRole, pooling: Pooling = Pooling.SESSION
    ) -> Access:
        """Through the pooler by certificate; the operator over the primary's Unix socket."""
        manifest = self._existing(id)
        if role is AccessRole.OPERATOR:
            return await self._operator_access(manifest)
        is_service = role is AccessRole.SERVICE
        user = manifest.service if is_service else manifest.read_only_role
        folder = self.layout.clients(id)
        return Access(
            host=manifest.pooler_address,
            port=manifest.pooler_port,
            database=pooled_name(manifest.service, pooling, read_only=not is_service),
            user=user,
            certificate=folder / f"{user}.crt",
            key=folder / f"{user}.key",
            authority=folder / "data-authority.crt",
        )

    # Manifests

    def _claim(self) -> None:
        """The state folder is this fleet's; NeedsHuman where it is another's."""
        layout = self.layout
        ensure_trusted(layout.root)
        ensure_directory(layout.root, self._owner)
        for folder in layout.data_plane:
            self._ensure_given(folder)
        if self._owner.is_another and not lowered.may_enter(self._owner, layout.root):
            raise NeedsHuman(
                f"user {self._owner.name} may not enter {layout.root}",
                "let it pass through the folders above: `chmod o+x` on each of them",
            )
        claim = {"fleet": self.fleet, "layout": LAYOUT, "root": str(layout.root)}
        known = self._read_claim()
        if known and known.get("root") != claim["root"]:
            self._forget_what_ran()
        if known is None or any(known.get(key) != value for key, value in claim.items()):
            text = json.dumps({**claim, "version": __version__}) + "\n"
            write(layout.fleet, text, self._owner, durable=True)

    def _forget_what_ran(self) -> None:
        """After a move nothing is wanted to run: configuration names the old place until `up`."""
        for manifest in read_databases(self.layout):
            write_database(self.layout, replace(manifest, running=False), self._owner)

    def _ensure_given(self, folder: Path) -> None:
        """It is the data plane's own; NeedsHuman where it is another user's."""
        found = self._owner.give(folder).lstat()
        if found.st_uid != self._owner.uid:
            raise NeedsHuman(
                f"{folder} belongs to user {found.st_uid}, databases run as {self._owner.name}",
                f"after a copy from another machine: `chown -R -P {self._owner.name}: {folder}`",
            )

    def _read_claim(self) -> dict[str, Any] | None:
        """What claims the state folder for this fleet; an error where it is another's."""
        ensure_trusted(self.layout.fleet)
        try:
            claim: dict[str, Any] = json.loads(self.layout.fleet.read_text())
            owner, made_for = claim["fleet"], claim.get("layout")
        except (FileNotFoundError, NotADirectoryError):
            return None
        except PermissionError:
            raise InputError(
                f"state folder {self.layout.root} belongs to another user",
                "run pgherd as the user whose fleet it is, or set PGHERD_STATE to another folder",
            ) from None
        except (ValueError, KeyError, TypeError, AttributeError):
            raise NeedsHuman(
                f"{self.layout.fleet} is damaged", "restore it from a backup"
            ) from None
        if owner != self.fleet:
            raise InputError(
                f"state folder {self.layout.root} belongs to fleet {owner!r}",
                "set PGHERD_STATE to another folder",
            )
        if made_for != LAYOUT:
            raise NeedsHuman(
                f"state folder {self.layout.root} was made by another version of pgherd",
                "save the data with that version, then remove the folder and run `pgherd up`",
            )
        return claim

    def _ensure_room(self, instances: int) -> None:
        """There is room for so many new instances; NeedsHuman where there plainly is none."""
        free = shutil.disk_usage(self.layout.root).free
        wanted = instances * doctor.ROOM_FOR_INSTANCE
        if free < wanted:
            have, need = (bytes // doctor.MEGABYTE for bytes in (free, wanted))
            raise NeedsHuman(
                f"{self.layout.root} has {have} MB free, new instances need {need} MB",
                "free some space, or set PGHERD_STATE to another disk",
            )

    def _environment_manifest(self, name: str) -> EnvironmentManifest:
        known = read_environment(self.layout, name)
        if known:
            return replace(known, running=True)
        book = self._addresses(f"{name}/etcd")
        return EnvironmentManifest(
            name=name,
            etcd_address=str(book.address(f"{name}/etcd")),
            etcd_port=book.ports["etcd"],
            etcd_peer_port=book.ports["peer"],
            etcd_program=etcd.program(),
        )

    @cached_property
    def _pooler_program(self) -> Path:
        return pooler.program()

    def _new_manifest(self, database: Database) -> DatabaseManifest:
        id = database.id
        version, programs = postgres.choose(database.postgresql)
        book = self._addresses(f"{id}/pooler")
        local = LOCAL.of(database.environment)
        manifest = DatabaseManifest(
            environment=id.environment,
            service=id.service,
            postgresql=version,
            bin_directory=str(programs),
            library=str(library.path(version)),
            pooler_program=str(self._pooler_program),
            postgresql_port=book.ports["postgresql"],
            patroni_port=book.ports["patroni"],
            pooler_address=str(book.address(f"{id}/pooler")),
            pooler_port=book.ports["pooler"],
            ocpus=database.ocpus.initial,
            max_ocpus=database.ocpus.max,
            memory_bytes=database.ocpus.initial * local.memory_per_ocpu_bytes,
            durability=str(database.durability),
            instances=(),
        )
        return self._with_instance(manifest, database.environment.availability_domains)

    def _with_instance(self, manifest: DatabaseManifest, domains: int) -> DatabaseManifest:
        """One instance more, in the availability domain that has the fewest."""
        taken = {i.number for i in manifest.instances}
        number = next(n for n in range(1, 100) if n not in taken)
        used = [i.availability_domain for i in manifest.instances]
        first = sum(manifest.service.encode()) % domains
        order = [1 + (first + step) % domains for step in range(domains)]
        domain = min(order, key=lambda d: (used.count(d), order.index(d)))
        name = f"{manifest.id}/{number}"
        address = str(self._addresses(name).address(name))
        instance = InstanceManifest(number, domain, address)
        return replace(manifest, instances=(*manifest.instances, instance))

    def _addresses(self, name: str) -> addresses.AddressBook:
        book = addresses.open_book(self.layout.addresses, str(self.layout.root)).including(name)
        addresses.save_book(self.layout.addresses, book, self._owner)
        return book

    def _forget_addresses(self, name: str) -> None:
        book = addresses.open_book(self.layout.addresses, str(self.layout.root)).without(name)
        addresses.save_book(self.layout.addresses, book, self._owner)

    def _existing(self, id: DatabaseId) -> DatabaseManifest:
        self._read_claim()
        manifest = read_database(self.layout, id)
        if manifest is None:
            raise InputError(f"{id} does not exist here", "run `pgherd up`")
        return manifest

    def _existing_environment(self, name: str) -> EnvironmentManifest:
        self._read_claim()
        manifest = read_environment(self.layout, name)
        if manifest is None:
            raise InputError(f"{name} does not exist here", "run `pgherd up`")
        return manifest

    # Making it so

    async def _make_so(self, manifest: DatabaseManifest) -> None:
        """Write everything down, let the agent carry it out, and wait until all serve."""
        await self._write(manifest)
        await self._agent.ask_once_it_runs(door.ConvergeDatabase(str(manifest.id)))
        if not manifest.made or len(manifest.instances) == 1:
            await self._wait(manifest.id, Condition.LED, LED_SECONDS)
        if not manifest.made:
            manifest = replace(manifest, made=True)
            write_database(self.layout, manifest, self._owner)
        if len(manifest.instances) == 1:
            return
        await self._wait(manifest.id, Condition.COMPLETE, COMPLETE_SECONDS)
        if manifest.is_synchronous:
            await self._agent.ask(door.Configure(str(manifest.id)))
            await self._wait(manifest.id, Condition.DURABLE, DURABLE_SECONDS)

    async def _reconfigure(self, manifest: DatabaseManifest) -> None:
        """Change settings without a restart."""
        await self._write(manifest)
        await self._agent.ask(door.ConvergeDatabase(str(manifest.id)))
        await self._agent.ask(door.Configure(str(manifest.id)))
        await self._reload(manifest.id)

    async def _reload(self, id: DatabaseId) -> None:
        if not await self._agent.ask(door.Reload(str(id), RELOAD_SECONDS)):
            raise TryLater(f"{id} has not read its new settings yet", f"see `pgherd logs {id}`")

    async def _write(self, manifest: DatabaseManifest) -> None:
        """All files of a database. A disk may let one wait while others need nothing of it."""
        async with self._writing[manifest.id]:
            await asyncio.to_thread(self._write_files, manifest)

    def _write_files(self, manifest: DatabaseManifest) -> None:
        # The manifest is the last, for that is what the agent acts on.
        id, owner, layout = manifest.id, self._owner, self.layout
        environment = read_environment(layout, id.environment)
        if environment is None:
            raise TryLater(f"environment {id.environment} does not exist yet")
        self._ensure_certificates(id.environment, identity.of_database(layout, manifest))
        folder = ensure_directory(layout.pooler(id), owner)
        write(folder / "pgbouncer.ini", pooler.settings(layout, manifest, owner.name), owner)
        write(folder / "hba.conf", pooler.hba(manifest, owner.name), owner)
        write(folder / "ident.conf", pooler.ident(manifest), owner)
        write(folder / "users.txt", pooler.users(manifest, owner.name), owner)
        for instance in manifest.instances:
            self._write_instance(environment, manifest, instance)
        write_database(layout, manifest, owner)

    def _write_instance(
        self,
        environment: EnvironmentManifest,
        manifest: DatabaseManifest,
        instance: InstanceManifest,
    ) -> None:
        layout, owner = self.layout, self._owner
        folder = ensure_directory(layout.instance(manifest.id, instance.number), owner)
        write(folder / "bootstrap.sql", postgres.bootstrap_sql(manifest), owner)
        for name, text in patroni.scripts(layout, manifest, instance.number).items():
            write(folder / name, text, owner, mode=0o700)
        # The last, for it names the others.
        content = patroni.configuration(layout, environment, manifest, instance, owner.name)
        write(folder / "patroni.yml", patroni.render(content), owner)

    async def _remove_instances(self, manifest: DatabaseManifest, count: int) -> None:
        """Take replicas away, those that do not serve first, never the primary."""
        seen = await self._seen(manifest)
        primary = manifest.numbered(seen.leader or "")
        serving = {name for name, instance in seen.instances.items() if instance.streams}
        others = [i for i in manifest.instances if i != primary]
        others.sort(key=lambda i: (manifest.instance_name(i.number) not in serving, i.number))
        going = others[count:]
        kept = tuple(i for i in manifest.instances if i not in going)
        await self._write(replace(manifest, instances=kept))
        await self._agent.ask(door.ConvergeDatabase(str(manifest.id)))
        for instance in going:
            number = instance.number
            await self._remove(
                self.layout.kept_by(manifest.id, number),
                self.layout.socket_folder(manifest.id, number),
            )
            shutil.rmtree(self.layout.instance(manifest.id, number), ignore_errors=True)
            self._forget_addresses(f"{manifest.id}/{instance.number}")

    def _ensure_certificates(
        self, environment: str, certificates: Any, *, renew: bool = False
    ) -> int:
        from pgherd.engines.local.certificates import ensure

        now = datetime.now(UTC)
        return ensure(self.layout, environment, certificates, now, self._owner, renew=renew)

    async def _wait(self, id: DatabaseId, condition: Condition, seconds: float) -> None:
        if not await self._agent.ask(door.AwaitDatabase(str(id), condition, seconds)):
            raise TryLater(f"{id} does not serve after {seconds:.0f} s", f"see `pgherd logs {id}`")

    async def _seen(self, manifest: DatabaseManifest) -> door.DatabaseStatus:
        """How the agent sees one database; TryLater where it has no primary."""
        status = await self._agent.ask(door.Observe())
        seen = status.databases.get(str(manifest.id))
        if seen is None or manifest.numbered(seen.leader or "") is None:
            raise TryLater(f"{manifest.id} has no primary", "see `pgherd status`")
        return seen

    async def _operator_access(self, manifest: DatabaseManifest) -> Access:
        seen = await self._seen(manifest)
        instance = manifest.numbered(seen.leader or "")
        assert instance  # noqa: S101 - `_seen` has looked
        # In the service's database, whatever the service has made there would run as superuser.
        return Access(
            host=str(self.layout.socket_folder(manifest.id, instance.number)),
            port=manifest.postgresql_port,
            database=postgres.MAINTENANCE,
            user="postgres",
            options="-c search_path=pg_catalog",
            server_user=self._owner.name,
        )

    async def _remove(self, *paths: Path) -> None:
        """Nothing is left of what the data plane wrote there."""
        await lowered.remove(self._owner, self.layout.root, paths)


class _Certificates:
    """Those of all environments, made by their authorities and served by what the agent runs."""

    def __init__(self, engine: LocalEngine) -> None:
        self._engine = engine

    async def in_use(self) -> Sequence[CertificateInfo]:
        """Every certificate of the fleet, those that end first in front."""
        from pgherd.engines.local.certificates import of_environment

        self._engine._read_claim()
        layout = self._engine.layout
        infos = [info for e in read_environments(layout) for info in of_environment(layout, e)]
        return sorted(infos, key=lambda info: (info.not_after, str(info.path)))

    async def ensure_valid(self, environment: str, *, renew: bool = False) -> int:
        """Certificates that are due, or all with `renew`, are new and served."""
        engine, layout = self._engine, self._engine.layout
        manifest = engine._existing_environment(environment)
        made = engine._ensure_certificates(
            environment, identity.of_environment(layout, manifest), renew=renew
        )
        if manifest.running:
            await engine._agent.ask(door.ConvergeEnvironment(environment))
        for id in [d.id for d in read_databases(layout) if d.environment == environment]:
            async with engine._writing[id]:
                database = read_database(layout, id)
                if database is None:  # deleted while another was written
                    continue
                found = identity.of_database(layout, database)
                made += engine._ensure_certificates(environment, found, renew=renew)
            if database.running:
                await self._serve(id)
        return made

    async def _serve(self, id: DatabaseId) -> None:
        if not await self._engine._agent.ask(door.ServeCertificates(str(id), RELOAD_SECONDS)):
            raise TryLater(f"{id} serves old certificates still", f"see `pgherd logs {id}`")


class _Logs:
    """The files that a database's pooler, Patronis and PostgreSQLs write."""

    def __init__(self, engine: LocalEngine) -> None:
        self._engine = engine

    def read(
        self, id: DatabaseId, *, instance: str | None = None, lines: int = 50, follow: bool = False
    ) -> AsyncIterator[LogLine]:
        """Lines of all of them, each in the order in which it was written."""
        self._engine._existing(id)
        layout = self._engine.layout
        folder = layout.database_log(id)
        return logs.read(self._engine._owner, layout.root, folder, instance, lines, follow)


class _Reach:
    """The same way in as the services', for they run on this machine too."""

    def __init__(self, engine: LocalEngine) -> None:
        self._engine = engine

    async def as_service(self, id: DatabaseId) -> Access:
        """Through the pooler by certificate."""
        return await self._engine.access(id, AccessRole.SERVICE)
