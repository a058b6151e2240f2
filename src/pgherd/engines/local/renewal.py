"""Certificates made, and read by all that run: also when one authority takes over from another.

What is to be done follows from the files (`pgherd.pki.succession`, `certificates.why_due`); whether
programs have read them is looked at. So each call may be cut off anywhere, and the next goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Protocol

from pgherd.engines.local import certificates, door, identity
from pgherd.engines.local.layout import Layout
from pgherd.engines.local.manifest import (
    EnvironmentManifest,
    read_database,
    read_databases,
    read_environment,
    write_environment,
)
from pgherd.engines.local.writer import Writer
from pgherd.errors import TryLater
from pgherd.files import Owner
from pgherd.fleet.desired import DatabaseId
from pgherd.pki.succession import Succession

ETCD_SECONDS = 30.0
ETCD_HOPE_SECONDS = 5.0
SERVED_SECONDS = 30.0


class Agent(Protocol):
    """Whoever tells programs."""

    async def ask(self, request: door.Request[door.Answer]) -> door.Answer:
        """The answer."""
        ...


class Renewal:
    """That of all environments of one fleet."""

    def __init__(
        self,
        layout: Layout,
        owner: Owner,
        agent: Agent,
        writer: Writer,
        now: Callable[[], datetime],
    ) -> None:
        self._layout = layout
        self._owner = owner
        self._agent = agent
        self._writer = writer
        self._now = now

    def write_environment(
        self, manifest: EnvironmentManifest, *, renew: bool = False
    ) -> tuple[EnvironmentManifest, set[Path]]:
        """The environment's own files, its manifest the last; that, and what was made now."""
        wanted = list(identity.of_environment(self._layout, manifest))
        made = self._writer.ensure_certificates(manifest.name, wanted, renew=renew)
        # Nobody but root sees when the repository's is due: it goes with the others.
        old = (c for c in wanted if c.place.certificate not in made)
        hidden = [c for c in old if c.is_repositorys] if made else []
        made |= self._writer.ensure_certificates(manifest.name, hidden, renew=True)
        trust = certificates.ensure_etcd_trust(self._layout, manifest.name, self._owner)
        manifest = replace(manifest, etcd_trust=trust)
        write_environment(self._layout, manifest, self._owner)
        return manifest, made

    def is_due(self, manifest: EnvironmentManifest) -> bool:
        """Whether there is anything to do for an environment's certificates."""
        return certificates.why_due(self._layout, manifest, self._now()) is not None

    async def let_in(self, environment: str) -> bool:
        """Nothing has ended that keeps everybody out; whether something had.

        Where something had, all databases' files are new before anything is started anew, so that
        whoever connects again finds them.
        """
        if not certificates.keep_all_out(self._layout, environment, self._now()):
            return False
        for id in self._databases(environment):
            await self._write(id)
        return True

    async def converge(self, environment: str) -> None:
        """Its etcd runs, where that is wanted, and trusts what lies on disk.

        The agent watches it; where it does not soon, it is mended, or the reason given early.
        """
        manifest = read_environment(self._layout, environment)
        if manifest is None or not manifest.running:
            return
        await self._agent.ask(door.ConvergeEnvironment(environment))
        if not await self._agent.ask(door.AwaitEnvironment(environment, ETCD_HOPE_SECONDS)):
            await self._agent.ask(door.MendEnvironment(environment))
            if not await self._agent.ask(door.AwaitEnvironment(environment, ETCD_SECONDS)):
                raise TryLater(f"etcd of {environment} does not answer")
        certificates.forget_etcd_trust(self._layout, manifest)

    async def run(
        self, environment: str, *, renew: bool = False, authorities: bool = False
    ) -> set[Path]:
        """All certificates are valid and served, by authorities that are not due; the new ones.

        `authorities`: these are new too, and soon trusted alone.
        """
        await self.let_in(environment)
        for succession in self._successions(environment):
            with self._writer.authorities:
                succession.prepare(self._now(), anew=authorities)
        made = await self._issue(environment, renew=renew)
        # All that run trust the next authorities from here on.
        if self._hand_over(environment, at_once=authorities):
            made |= await self._issue(environment)
        self._forget_ended(environment)
        await self.converge(environment)
        return made

    async def _issue(self, environment: str, *, renew: bool = False) -> set[Path]:
        """Everything is made that is due, and served; what was made."""
        manifest = read_environment(self._layout, environment)
        if manifest is None:  # deleted meanwhile
            return set()
        _, made = self.write_environment(manifest, renew=renew)
        await self.converge(environment)
        for id in self._databases(environment):
            made |= await self._write(id, renew=renew)
            database = read_database(self._layout, id)
            if database and database.running:
                await self._serve(id)
        return made

    async def _write(self, id: DatabaseId, *, renew: bool = False) -> set[Path]:
        async with self._writer.of[id]:
            database = read_database(self._layout, id)
            if database is None:  # deleted while another was written
                return set()
            wanted = identity.of_database(self._layout, database)
            return self._writer.ensure_certificates(id.environment, wanted, renew=renew)

    async def _serve(self, id: DatabaseId) -> None:
        if not await self._agent.ask(door.ServeCertificates(str(id), SERVED_SECONDS)):
            raise TryLater(f"{id} serves old certificates still", f"see `pgherd logs {id}`")

    def _hand_over(self, environment: str, *, at_once: bool) -> bool:
        is_done = False
        with self._writer.authorities:
            for succession in self._successions(environment):
                is_done |= succession.hand_over(self._now(), at_once=at_once)
        return is_done

    def _forget_ended(self, environment: str) -> None:
        with self._writer.authorities:
            for succession in self._successions(environment):
                succession.forget_ended(self._now())

    def _successions(self, environment: str) -> list[Succession]:
        return list(certificates.successions(self._layout, environment, self._owner))

    def _databases(self, environment: str) -> list[DatabaseId]:
        return [d.id for d in read_databases(self._layout) if d.environment == environment]
