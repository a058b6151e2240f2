"""Asks a database what its service asks it, by the same door: through its pooler, over TLS.

What is said of a database as `running` is what a client would find. The probe has a certificate of
its own, which opens one name of one pooler, as the service; its question waits in the same line for
the same server connections. It keeps its connection, so that a question costs next to nothing.
"""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial

import psycopg

from pgherd.engines.local import sessions
from pgherd.engines.local.agent.kept_session import KeptSession
from pgherd.engines.local.agent.looks import schema_revision
from pgherd.engines.local.layout import Layout
from pgherd.engines.local.manifest import DatabaseManifest
from pgherd.errors import TryLater

ANSWER_SECONDS = 4.0
"""A client that waits for longer is not served."""
REVISION_SECONDS = 1.0
"""The table of revisions is the service's, which may make it slow: it keeps the probe no longer."""
LONGEST_TROUBLE = 200


@dataclass(frozen=True, slots=True)
class Found:
    """What the last question found, at a moment of the event loop's clock.

    `trouble` is empty where it was answered; `timed_out` where nothing came at all.
    """

    at: float
    trouble: str = ""
    timed_out: bool = False


class Probe:
    """The probe of one database; nothing is known before it has asked."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._session = KeptSession()
        self.found: Found | None = None

    @property
    def is_open(self) -> bool:
        """It has been answered, and has its connection still."""
        return self._session.is_open

    async def ask(self, manifest: DatabaseManifest) -> Found | None:
        """Ask once; None where it has no certificate yet."""
        if not sessions.has_probe(self._layout, manifest.id):
            return None
        trouble, timed_out = "", False
        try:
            async with asyncio.timeout(ANSWER_SECONDS), self._turn(manifest) as session:
                cursor = await session.execute("SELECT pg_catalog.pg_is_in_recovery()")
                in_recovery = (await cursor.fetchone() or (True,))[0]
                if in_recovery:
                    trouble = "it takes no writes"
                    await session.close()
        except TimeoutError:
            trouble, timed_out = f"no answer in {ANSWER_SECONDS:.0f} s", True
        except (psycopg.Error, OSError) as error:
            trouble = " ".join(str(error).split())[:LONGEST_TROUBLE] or type(error).__name__
        self.found = Found(asyncio.get_running_loop().time(), trouble, timed_out)
        return self.found

    async def schema_revision(self, manifest: DatabaseManifest) -> str | None:
        """The newest migration of the schema, as its service says; TryLater if nobody answers."""
        try:
            async with asyncio.timeout(REVISION_SECONDS), self._turn(manifest) as session:
                return await schema_revision(session)
        except (psycopg.Error, OSError, TimeoutError) as error:
            raise TryLater(f"{manifest.id}: {error}".strip()) from error

    async def close(self) -> None:
        """Let go of its connection, once who asks has asked."""
        await self._session.close()

    def _turn(self, manifest: DatabaseManifest) -> AbstractAsyncContextManager[sessions.Connection]:
        return self._session.turn(manifest.id, partial(sessions.probe, self._layout, manifest))
