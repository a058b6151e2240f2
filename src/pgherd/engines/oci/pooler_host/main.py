"""A round every 15 seconds, until the program is ended."""

from __future__ import annotations

import json
import time
from pathlib import Path

from pgherd.engines.oci.pooler_host.host import Host
from pgherd.engines.oci.pooler_host.settings import Settings
from pgherd.engines.oci.pooler_host.vault import read_vault

POLL_SECONDS = 15


def say(line: str) -> None:
    """One line to the journal."""
    print(line, flush=True)


def main(arguments: list[str]) -> None:
    """Run until ended; the only argument is the file with the settings."""
    settings = Settings(**json.loads(Path(arguments[0]).read_text()))
    host = Host(settings, lambda ocid: read_vault(settings.region, ocid), say)
    while True:
        host.round(time.monotonic())
        time.sleep(POLL_SECONDS)
