"""An autopilot whose clock on the wall is wrong by as many seconds as a file says.

To be run as a program, with the folder of the applied fleets and that file. Clocks that only go
forward are those of the machine, as are the clocks of all other programs.
"""

from __future__ import annotations

import sys
import time
from datetime import datetime, tzinfo
from pathlib import Path
from types import ModuleType
from typing import Any

from pgherd.autopilot import main
from pgherd.engines.local import engine


class Instead:
    """Another thing, with some of its names meaning something else."""

    def __init__(self, other: Any, **names: Any) -> None:
        self._other = other
        self.__dict__.update(names)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._other, name)


def shift(modules: list[ModuleType], file: Path) -> None:
    """From now on these take the wrong time for the right one."""

    def wrong() -> float:
        return time.time() + float(file.read_text() or 0)

    def now(zone: tzinfo | None = None) -> datetime:
        return datetime.fromtimestamp(wrong(), zone)

    for module in modules:
        if getattr(module, "time", None) is time:
            module.time = Instead(time, time=wrong)  # type: ignore[attr-defined]
        if getattr(module, "datetime", None) is datetime:
            module.datetime = Instead(datetime, now=now)  # type: ignore[attr-defined]


if __name__ == "__main__":
    folder, file = sys.argv[1:]
    named = [m for name, m in sys.modules.items() if name.startswith("pgherd.autopilot.")]
    shift([*named, engine], Path(file))
    main.main(folder)
