"""The command's side of the agent: one of this version runs, and is asked."""

from __future__ import annotations

import asyncio
import subprocess
from contextlib import nullcontext

from pgherd.engines.local import lowered, machine, rpc
from pgherd.engines.local.control_groups import ControlGroups
from pgherd.engines.local.door import AgentInfo, Answer, Leave, Ping, Request
from pgherd.engines.local.layout import Layout
from pgherd.errors import NeedsHuman, TryLater
from pgherd.files import Owner

START_SECONDS = 120.0
"""An agent starts all programs of its fleet before it answers; a busy machine takes its time."""
LEAVE_SECONDS = 30.0
COMING_SECONDS = 20.0
"""An agent that stands still is ended and followed by another one in that time, as a rule."""


class AgentClient:
    """The agent of one fleet; `owner` is the user that it runs as, in one of the `groups`."""

    def __init__(self, layout: Layout, owner: Owner, groups: ControlGroups | None = None) -> None:
        self._layout = layout
        self._owner = owner
        self._groups = groups
        self._starting = asyncio.Lock()

    async def ask(self, request: Request[Answer]) -> Answer:
        """Its answer. One of another version is replaced first; NoAgent where none runs."""
        try:
            return await self._ask(request)
        except rpc.OtherVersion:
            await self.ensure_running()
            return await self._ask(request)

    async def ask_once_it_runs(self, request: Request[Answer]) -> Answer:
        """The same, and one is started where none runs."""
        await self.ensure_running()
        return await self.ask(request)

    async def ensure_running(self) -> None:
        """An agent of this version runs."""
        async with self._starting:
            running: AgentInfo | None
            try:
                running = await self._ask(Ping())
            except rpc.Silent as silent:
                running = await self._after(silent)
            except TryLater:
                running = None
            if running and running.version == rpc.version():
                return
            if running:
                await self.stop()
            if not await asyncio.to_thread(self._start) and not await self._comes():
                raise NeedsHuman(
                    "the agent of this fleet does not start",
                    f"see {self._layout.log / 'agent.log'}",
                )

    async def stop(self) -> None:
        """No agent runs; what it started does."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + LEAVE_SECONDS
        try:
            await self._ask(Leave())
            while loop.time() < deadline:
                await self._ask(Ping())
                await asyncio.sleep(0.02)
        except TryLater:
            return
        raise NeedsHuman(
            f"the agent of this fleet does not leave in {LEAVE_SECONDS:.0f} s",
            f"see {self._layout.log / 'agent.log'}, and end it",
        )

    async def _ask(self, request: Request[Answer]) -> Answer:
        return await rpc.ask(self._layout.agent_socket, self._owner, request)

    async def _after(self, silent: rpc.Silent) -> AgentInfo | None:
        """The agent that answers in place of a silent one, which is ended if nobody ends it."""
        if running := await self._comes():
            return running
        # As its own user: by then, that number may be any process.
        killing = await asyncio.create_subprocess_exec(
            "/bin/kill",
            "-KILL",
            str(silent.pid),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **lowered.options(self._owner, self._layout.root),
        )
        await killing.wait()
        return None

    async def _comes(self) -> AgentInfo | None:
        """An agent that is on its way: one that a killed command left behind, or a keeper began."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + COMING_SECONDS
        while loop.time() < deadline:
            try:
                return await self._ask(Ping())
            except TryLater:
                await asyncio.sleep(0.1)
        return None

    def _start(self) -> bool:
        """Start an agent that outlives this process; whether it listens.

        NeedsHuman with its complaint where it could not even open its log.
        """
        machine.raise_open_files()
        place = self._groups.as_agent(self._owner) if self._groups else nullcontext()
        try:
            with place:
                started = subprocess.run(
                    lowered.python("pgherd.engines.local.agent", str(self._layout.root)),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    check=False,
                    timeout=START_SECONDS,
                    **lowered.options(self._owner, self._layout.root),
                )
        except subprocess.TimeoutExpired:
            return False
        complaints = started.stderr.decode(errors="replace").strip()
        if started.returncode != 0 and complaints:
            last = complaints.splitlines()[-1]
            raise NeedsHuman(f"the agent of this fleet does not start: {last}")
        return started.returncode == 0
