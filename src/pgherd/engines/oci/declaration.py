"""The engine for OCI, as pgherd knows it before it is opened."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pgherd.contract.engine import Engine
from pgherd.engines.declaration import Declaration
from pgherd.engines.oci.documents import DOCUMENTS
from pgherd.engines.oci.variables import VARIABLES
from pgherd.fleet.desired import Environment

if TYPE_CHECKING:  # takes a while to import
    from pgherd.engines.oci.values import OciValues
    from pgherd.fleet.section import EngineSection


def _section() -> EngineSection[OciValues]:
    from pgherd.engines.oci.section import OCI

    return OCI


def _values() -> type[OciValues]:
    from pgherd.engines.oci.values import OciValues

    return OciValues


def _open(fleet: str, environments: Sequence[Environment], folder: Path) -> Engine:
    from pgherd.engines.oci.engine import OciEngine

    return OciEngine(fleet, environments, folder)


DECLARATION = Declaration(
    "oci",
    _section,
    _values,
    _open,
    documents=DOCUMENTS,
    doctor="the tenancy, region and rights of its environments",
    variables=VARIABLES,
)
