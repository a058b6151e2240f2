"""Asks the autopilot of a fleet to leave, as the ExecStop= of its unit. Databases run on."""

from __future__ import annotations

import sys
from pathlib import Path

from pgherd.autopilot.client import Autopilot
from pgherd.autopilot.place import place_of
from pgherd.errors import PgherdError


def main(applied: str) -> None:
    """None runs afterwards; quietly where none did."""
    try:
        Autopilot(place_of(Path(applied))).end()
    except PgherdError as error:
        sys.exit(f"{error.message}; {error.hint}")


if __name__ == "__main__":
    main(*sys.argv[1:])
