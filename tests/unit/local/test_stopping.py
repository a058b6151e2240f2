"""Stopping environments at the same time: the last one ends the agent, and nobody asks it then."""

import asyncio
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from local_fleet import NOBODY, PRODUCTION, LongLayout

from pgherd.engines.local.door import ConvergeEnvironment
from pgherd.engines.local.environments import Environments
from pgherd.engines.local.manifest import read_environment, write_environment
from pgherd.engines.local.place import Place


class PlayedAgent:
    """Takes a while for everything, and remembers in which order it was done."""

    def __init__(self) -> None:
        self.said: list[str] = []

    async def ask_once_it_runs(self, request: ConvergeEnvironment) -> None:
        await asyncio.sleep(0)
        self.said.append(request.environment)
        await asyncio.sleep(0)

    async def stop(self) -> None:
        await asyncio.sleep(0)
        self.said.append("stop")


async def test_the_agent_ends_once_and_last(tmp_path: Path) -> None:
    layout, agent = LongLayout(tmp_path), PlayedAgent()
    names = ("production", "staging", "development")
    for name in names:
        write_environment(layout, replace(PRODUCTION, name=name), NOBODY)
    place: Any = SimpleNamespace(
        layout=layout,
        owner=NOBODY,
        agent=agent,
        quotas=SimpleNamespace(forget_all=lambda: None),
        environment=lambda name: read_environment(layout, name),
    )
    environments = Environments(cast("Place", place), cast("Any", None))
    await asyncio.gather(*(environments.ensure_stopped(name) for name in names))
    assert sorted(agent.said[:-1]) == sorted(names)
    assert agent.said[-1] == "stop"
