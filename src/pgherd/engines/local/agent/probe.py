"""Asks a database what its service asks it, by the same door: through its pooler, over TLS.

What is said of a database as `running` is what a client would find. The probe has a certificate of
its own, which opens one name of one pooler, as the service; its question waits in the same line for
the same server connections. It keeps its connection, so that a question costs next to nothing.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import psycopg

from pgherd.engines.local import sessions
from pgherd.engines.local.layout import Layout
from pgherd.engines.local.manifest import DatabaseManifest

ANSWER_SECONDS = 4.0
"""A client that waits for longer is not served."""
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
        self._session: sessions.Connection | None = None
        self.found: Found | None = None

    async def ask(self, manifest: DatabaseManifest) -> Found | None:
        """Ask once; None where it has no certificate yet."""
        if not sessions.has_probe(self._layout, manifest.id):
            return None
        loop = asyncio.get_running_loop()
        trouble, timed_out = "", False
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                if self._session is None or self._session.closed:
                    self._session = await sessions.probe(self._layout, manifest)
                cursor = await self._session.execute("SELECT pg_catalog.pg_is_in_recovery()")
                in_recovery = (await cursor.fetchone() or (True,))[0]
            trouble = "it takes no writes" if in_recovery else ""
        except TimeoutError:
            trouble, timed_out = f"no answer in {ANSWER_SECONDS:.0f} s", True
        except (psycopg.Error, OSError) as error:
            trouble = " ".join(str(error).split())[:LONGEST_TROUBLE] or type(error).__name__
        if trouble:
            await self.close()
        self.found = Found(loop.time(), trouble, timed_out)
        return self.found

    async def close(self) -> None:
        """Let go of its connection."""
        session, self._session = self._session, None
        if session:
            await session.close()
