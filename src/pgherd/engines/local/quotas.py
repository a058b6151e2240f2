"""What instances may use of this machine's CPU, as manifests want it, where that can be limited."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from pgherd.engines.local import control_groups, control_trees
from pgherd.engines.local.control_groups import ControlGroups, Quota
from pgherd.engines.local.layout import Layout
from pgherd.engines.local.manifest import DatabaseManifest
from pgherd.files import Owner
from pgherd.fleet.desired import DatabaseId


class Quotas:
    """Those of one fleet. `owner` is the data plane's user, who may move its processes to them."""

    def __init__(self, layout: Layout, owner: Owner) -> None:
        self._owner = owner
        self.lack = control_trees.lack(layout.root)
        """Why none are set here; empty where they are."""
        self._groups = None if self.lack else control_groups.found(layout.root)
        self._cores = os.cpu_count() or 1

    @property
    def groups(self) -> ControlGroups | None:
        """The fleet's; None where this user may not make any."""
        return self._groups

    def ensure(self, manifest: DatabaseManifest) -> None:
        """Each of its instances may use what the manifest says."""
        if self._groups is None or not manifest.cores:
            return
        quota = Quota.of(manifest.cores, self._cores)
        try:
            for instance in manifest.instances:
                self._groups.limit(self._owner, manifest.id, instance.number, quota)
        except OSError as error:
            self.lack = f"{error.filename} cannot be written: {(error.strerror or '').lower()}"

    def notes(self, manifests: Iterable[DatabaseManifest]) -> Iterator[str]:
        """What people should know of the quotas of these databases."""
        if self.lack:
            yield f"no CPU quotas, sizes set PostgreSQL's parameters only: {self.lack}"
            return
        for manifest in manifests:
            if manifest.cores > self._cores:
                most = int(manifest.ocpus * self._cores / manifest.cores)
                yield f"{manifest.id} is capped at {most} OCPUs by this machine"

    def forget(self, id: DatabaseId, number: int) -> None:
        """That instance is gone."""
        if self._groups:
            self._groups.forget(id, number)

    def forget_all(self) -> None:
        """Nothing runs any more."""
        if self._groups:
            self._groups.forget_fleet()
