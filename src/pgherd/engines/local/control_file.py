"""How far the data of a server has come that does not run, by the word of its control file."""

from __future__ import annotations

import re

from pgherd.contract.backups import lsn_of
from pgherd.engines.local import lowered
from pgherd.engines.local.layout import Layout
from pgherd.engines.local.manifest import DatabaseManifest, InstanceManifest
from pgherd.files import Owner

TIMELINES = ("Latest checkpoint's TimeLineID", "Min recovery ending loc's timeline")
POSITIONS = ("Latest checkpoint location", "Minimum recovery ending location")
NOWHERE = (0, 0)


async def furthest(layout: Layout, owner: Owner, manifest: DatabaseManifest) -> InstanceManifest:
    """The instance whose data is ahead of that of the others; of several, the first."""
    found = {
        instance: await _reached(layout, owner, manifest, instance)
        for instance in manifest.instances
    }
    return max(found, key=lambda instance: found[instance])


async def _reached(
    layout: Layout, owner: Owner, manifest: DatabaseManifest, instance: InstanceManifest
) -> tuple[int, int]:
    data = layout.data(manifest.id, instance.number)
    command = [f"{manifest.bin_directory}/pg_controldata", "--pgdata", str(data)]
    code, output, _ = await lowered.call(owner, layout.root, command)
    return reached(output.decode(errors="replace")) if code == 0 else NOWHERE


def reached(text: str) -> tuple[int, int]:
    """The timeline and the position in the WAL that pg_controldata tells of. Pure.

    A later timeline is ahead of an earlier one, whatever came after its end there. Of a replica
    the checkpoint may be old, and of a primary there is no end of a recovery.
    """
    said = dict(re.findall(r"^([A-Za-z' ]+):\s+(\S+)$", text, re.MULTILINE))
    timelines = [int(word) for name in TIMELINES if (word := said.get(name, "")).isdecimal()]
    positions = [lsn_of(said.get(name, "")) or 0 for name in POSITIONS]
    return max(timelines, default=0), max(positions)
