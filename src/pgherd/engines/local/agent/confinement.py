"""Which servers of one database are limited to their share of the CPU: those that serve calmly.

A server that starts, recovers or copies is not, nor is any of a database that is changing its
primary: what its clients wait for does not wait for a quota.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

from pgherd.engines.local import processes
from pgherd.engines.local.agent.seen import Seen
from pgherd.engines.local.control_groups import ControlGroups
from pgherd.engines.local.manifest import DatabaseManifest
from pgherd.engines.local.processes import Identity

log = logging.getLogger(__name__)


class Confinement:
    """That of one database; `groups` is None where this machine has none."""

    def __init__(self, groups: ControlGroups | None) -> None:
        self._groups = groups
        self._inside: dict[int, Identity] = {}
        self._refused: set[int] = set()

    def follow(self, manifest: DatabaseManifest, seen: Seen) -> None:
        """Move servers in and out as what is seen wants it. It may be repeated at any time."""
        if self._groups is None:
            return
        is_calm = seen.serving is not None and seen.switch is None
        for instance in manifest.instances:
            name = manifest.instance_name(instance.number)
            postmaster = seen.instances[name].postmaster
            if postmaster is None:
                self._inside.pop(instance.number, None)
            elif is_calm and (name == seen.serving or name in seen.streaming):
                self._take_in(self._groups, manifest, instance.number, postmaster)
            elif not is_calm and self._inside.pop(instance.number, None) == postmaster:
                self._move_out(self._groups, postmaster)

    def _take_in(
        self, groups: ControlGroups, manifest: DatabaseManifest, number: int, server: Identity
    ) -> None:
        if self._inside.get(number) == server:
            return
        try:
            if not groups.has(manifest.id, number):
                return
            groups.take_in(manifest.id, number, _all_of(server))
        except OSError as error:
            if number not in self._refused:
                self._refused.add(number)
                log.warning("%s: instance %d has no quota: %s", manifest.id, number, error)
            return
        self._refused.discard(number)
        self._inside[number] = server

    def _move_out(self, groups: ControlGroups, server: Identity) -> None:
        try:
            groups.let_out(_all_of(server))
        except OSError as error:
            log.warning("process %d stays in its control group: %s", server.pid, error)


def _all_of(postmaster: Identity) -> Iterator[int]:
    """It, then its backends as they are by then: what it forks later is where it is itself."""
    yield postmaster.pid
    yield from processes.children(postmaster.pid)
