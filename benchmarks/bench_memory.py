"""Whether the agent grows: its memory over hundreds of switchovers and rotations of certificates.

One database with two replicas. The agent's proportional set size is taken after each tenth of
each; what counts is how much the second half added, when all that is loaded once has been loaded.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from bench_faults import DATABASE, FLEET, Subject, until_well
from measure import Report, arguments, say
from sandbox import Sandbox, memory, sandbox

from pgherd.engines.local.engine import LocalEngine
from pgherd.engines.local.layout import Layout
from pgherd.errors import TryLater

MIB = 2**20
LOOKS = 10
MOST_GROWTH = 1.0


def agent_mib(fleet: Sandbox) -> float:
    """What the agent itself takes, in MiB."""
    return memory([pid for pid, kind in fleet.processes().items() if kind == "agent"]) / MIB


async def switch_over(subject: Subject, count: int) -> None:
    """So many switchovers, each once the last one is over."""
    for _ in range(count):
        for attempt in range(20):
            try:
                await subject.engine.switchover(DATABASE)
            except TryLater:
                if attempt == 19:
                    raise
                await asyncio.sleep(0.5)
            else:
                break
        if (await until_well(subject, lambda: True))[1] is None:
            raise TryLater(f"{DATABASE} is not whole after a switchover")


def rotate(fleet: Sandbox, count: int) -> None:
    """So many rotations of all certificates."""
    for _ in range(count):
        fleet.run("certificates", "--rotate", DATABASE.environment)


def main() -> int:
    """Run it."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--rounds", type=int, default=500, help="switchovers, and rotations")
    options = parser.parse_args()
    part = -(-options.rounds // LOOKS)
    report = Report("memory")
    with sandbox(FLEET, options.logs) as fleet:
        fleet.run("up")
        layout = Layout(fleet.root)
        subject = Subject(layout, LocalEngine(fleet.wanted.name, layout))
        for name in ("switchovers", "rotations"):
            sizes = [agent_mib(fleet)]
            for number in range(1, LOOKS + 1):
                if name == "switchovers":
                    asyncio.run(switch_over(subject, part))
                else:
                    rotate(fleet, part)
                sizes.append(agent_mib(fleet))
                say(f"{number * part} {name}: {sizes[-1]:.2f} MiB")
            half = LOOKS // 2
            report.samples[name] = sizes
            report.add(f"agent after {LOOKS * part} {name}", sizes[-1], "MiB", floor=sizes[0])
            growth = sizes[-1] - sizes[half]
            report.add(f"of that in the second half of {name}", growth, "MiB", target=MOST_GROWTH)
    return report.finish(options.json)


if __name__ == "__main__":
    sys.exit(main())
