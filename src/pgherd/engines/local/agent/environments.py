"""The agent's environments: their etcd runs and is watched, and clusters learn what it says."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import signal
import ssl
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from pgherd.engines.local import certificates, etcd, patroni, processes, programs
from pgherd.engines.local.agent.cluster import Cluster
from pgherd.engines.local.agent.prognosis import QUICK_EXITS, check_environment
from pgherd.engines.local.agent.supervisor import Program, Supervisor
from pgherd.engines.local.agent.tasks import Tasks
from pgherd.engines.local.etcd_client import EtcdClient, KeyValue, operator_tls
from pgherd.engines.local.layout import Layout
from pgherd.engines.local.manifest import EnvironmentManifest
from pgherd.errors import NeedsHuman, TryLater
from pgherd.files import ensure_directory
from pgherd.fleet.desired import DatabaseId

log = logging.getLogger(__name__)

SILENT_SECONDS = 120.0
"""An etcd that runs and has answered nothing for so long is begun anew."""
AGAIN_SECONDS = 600.0
"""An etcd that was begun anew is not begun anew once more before."""
DUE_SECONDS = 60.0
"""Certificates are read again after so long."""


class Environments:
    """All that are wanted to run; `clusters` are the databases in them."""

    def __init__(
        self,
        layout: Layout,
        supervisor: Supervisor,
        clusters: Mapping[DatabaseId, Cluster],
        tasks: Tasks,
        stack: AsyncExitStack,
    ) -> None:
        self.manifests: dict[str, EnvironmentManifest] = {}
        self.watched: set[str] = set()
        """Those whose etcd is being watched right now."""
        self._layout = layout
        self._supervisor = supervisor
        self._clusters = clusters
        self._tasks = tasks
        self._stack = stack
        self._clients: dict[str, EtcdClient] = {}
        self._tls: dict[str, ssl.SSLContext] = {}
        self._keys: dict[str, dict[str, KeyValue]] = {}
        self._begun_anew: dict[str, float] = {}
        self._silent_since: dict[str, float] = {}
        self._programs: dict[str, Program] = {}
        self._due: dict[str, tuple[float, str | None]] = {}

    async def ensure(self, manifest: EnvironmentManifest) -> None:
        """Its etcd runs and is watched, with certificates and authorities as they lie on disk."""
        name = manifest.name
        await self._ensure_etcd(manifest)
        self._ensure_archive(manifest)
        self.manifests[name] = manifest
        self.forget_certificates(name)
        self.read_certificates(name)
        if name in self._clients:
            return
        client = EtcdClient(etcd.url(manifest), self._tls[name])
        self._clients[name] = await self._stack.enter_async_context(client)
        self._tasks.keep(name, partial(self._watch, name))

    def read_certificates(self, name: str) -> None:
        """New connections are opened with what lies on disk."""
        tls = self._tls[name] = operator_tls(self._layout, name)
        if client := self._clients.get(name):
            client.tls = tls
            self._each(name, lambda cluster: cluster.patronis.trust(tls))

    async def _ensure_etcd(self, manifest: EnvironmentManifest) -> None:
        """It runs as it is wanted: what it trusts is another file when it changes."""
        program = programs.of_environment(self._layout, manifest)
        ensure_directory(Path(program.start.log).parent)
        self._supervisor.adopt({program.name: program})
        if self._runs_otherwise(manifest.name, program):
            log.info("%s is wanted otherwise than it runs: started anew", program.name)
            await self._supervisor.stop(program.name)
            self.watched.discard(manifest.name)
        self._programs[manifest.name] = program
        self._supervisor.want({program.name: program})

    def _ensure_archive(self, manifest: EnvironmentManifest) -> None:
        """What lets backups be taken runs, and has read its files anew."""
        program = programs.of_archive(self._layout, manifest)
        if program is None:
            return
        ensure_directory(self._layout.run / f"{manifest.name}.archive")
        self._supervisor.want({program.name: program})
        if process := self._supervisor.process(program.name):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGHUP)

    def _runs_otherwise(self, name: str, program: Program) -> bool:
        if known := self._programs.get(name):
            return known != program
        # Started by an earlier agent: its command line says how.
        process = self._supervisor.process(program.name)
        return process is not None and not program.start.is_of(processes.title(process.pid))

    async def drop(self, name: str) -> None:
        """Its etcd does not run."""
        self._tasks.end(name)
        await self._clients.pop(name).__aexit__(None, None, None)
        self.watched.discard(name)
        self._keys.pop(name, None)
        self._programs.pop(name, None)
        del self.manifests[name]
        await self._supervisor.stop(programs.etcd_name(name))
        await self._supervisor.stop(programs.archive_name(name))

    async def mend(self, name: str, *, is_empty: bool = False) -> None:
        """Begin an etcd anew that will not run by itself; NeedsHuman where that is of no use.

        One whose data is damaged ends again and again; one that was killed while it made its data
        answers nobody, for ever. All that is in it can be made again from the databases; where
        there is none (`is_empty`), nobody need wait to see whether it is only slow. One whose
        certificates have ended is left alone: it answers again once there are new ones.
        """
        manifest = self.manifests.get(name)
        if manifest is None or name in self.watched:
            return
        if certificates.keep_all_out(self._layout, name, datetime.now(UTC)):
            return
        check_environment(self._layout, manifest, self._supervisor)
        ends = self._supervisor.quick_exits(programs.etcd_name(name)) >= QUICK_EXITS
        silent_since = self._silent_since.get(name, time.monotonic())
        if not (ends or is_empty or time.monotonic() > silent_since + SILENT_SECONDS):
            return
        if self._begun_anew.get(name, -AGAIN_SECONDS) + AGAIN_SECONDS > time.monotonic():
            raise NeedsHuman(
                f"etcd of {name} does not answer, though it was begun anew",
                f"see {programs.of_environment(self._layout, manifest).start.log}",
            )
        self._begun_anew[name] = time.monotonic()
        log.warning("etcd of %s does not run: its data is put aside, and it is begun anew", name)
        await self._supervisor.stop(programs.etcd_name(name), at_once=True)
        await asyncio.to_thread(_put_aside, self._layout.etcd_data(name))
        await self.ensure(manifest)

    async def mend_all(self) -> None:
        """Begin those anew whose etcd ends again and again, or has been silent for long."""
        for name in self.manifests.keys() - self.watched:
            self._silent_since.setdefault(name, time.monotonic())
            try:
                await self.mend(name)
            except NeedsHuman as error:
                log.debug("%s", error)
        for name in self.watched:
            self._silent_since.pop(name, None)

    def client(self, name: str) -> EtcdClient:
        """Of a running environment's etcd."""
        return self._clients[name]

    def tls(self, name: str) -> ssl.SSLContext:
        """How to speak to a running environment's Patronis."""
        return self._tls[name]

    def teach(self, cluster: Cluster) -> None:
        """Let a cluster know what etcd is known to hold of it."""
        environment = cluster.id.environment
        prefix = patroni.scope_prefix(cluster.id.service)
        known = self._keys.get(environment, {}).values()
        if environment in self.watched:
            cluster.learn(key for key in known if key.key.startswith(prefix))

    def due(self) -> dict[str, str]:
        """Which of them have certificates to renew, and why; looked at once a minute."""
        found = {name: self._why_due(manifest) for name, manifest in self.manifests.items()}
        return {name: why for name, why in found.items() if why}

    def _why_due(self, manifest: EnvironmentManifest) -> str | None:
        now = time.monotonic()
        known = self._due.get(manifest.name)
        if known is None or now - known[0] > DUE_SECONDS:
            why = certificates.why_due(self._layout, manifest, datetime.now(UTC))
            known = self._due[manifest.name] = (now, why)
        return known[1]

    def forget_certificates(self, name: str) -> None:
        """They are about to be others."""
        self._due.pop(name, None)

    async def _watch(self, name: str) -> None:
        client = self._clients[name]
        prefix = patroni.scope_prefix()
        while True:
            try:
                revision, keys = await client.range(prefix)
                self._keys[name] = {key.key: key for key in keys}
                self.watched.add(name)
                self._each(name, self.teach)
                async for events in client.watch(prefix, revision + 1):
                    self._spread(name, events)
            except TryLater as error:
                if name in self.watched:
                    log.warning("%s: %s", name, error)
                self.watched.discard(name)
                self._each(name, Cluster.lose_sight)
                await asyncio.sleep(0.2)

    def _spread(self, name: str, events: list[KeyValue]) -> None:
        for event in events:
            if event.value is None:
                self._keys[name].pop(event.key, None)
            else:
                self._keys[name][event.key] = event
        for service in {_service(event.key) for event in events}:
            if cluster := self._clusters.get(DatabaseId(name, service)):
                cluster.update(e for e in events if _service(e.key) == service)

    def _each(self, name: str, act: Callable[[Cluster], None]) -> None:
        for id, cluster in self._clusters.items():
            if id.environment == name:
                act(cluster)


def _put_aside(data: Path) -> None:
    """Keep it beside, in place of what was put there before, for a person to look at."""
    aside = data.with_name(f"{data.name}.damaged")
    shutil.rmtree(aside, ignore_errors=True)
    if data.exists():
        data.rename(aside)


def _service(key: str) -> str:
    return key.removeprefix(patroni.scope_prefix()).partition("/")[0]
