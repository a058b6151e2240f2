"""The engine for OCI keeps the contract, against the strict local OCI.

That shows that pgherd and the SDK's own description of the service agree, not that it runs on OCI.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from engine_contract import EngineContract

from pgherd.contract.engine import Engine
from pgherd.engines.oci.engine import OciEngine
from pgherd.engines.oci.section import Concession, OciValues, PoolerTier
from pgherd.fleet.desired import DatabaseId, Environment
from pgherd.testing.fleets import environment
from pgherd.testing.oci.server import LocalOci

pytestmark = pytest.mark.integration

ASHBURN = "us-ashburn-1"


class OciClient:
    """Rows of the local OCI's databases, past the network."""

    def __init__(self, cloud: LocalOci) -> None:
        self.cloud = cloud

    def system(self, id: DatabaseId) -> str:
        (found,) = [
            s["id"]
            for s in self.cloud.systems()
            if s["freeformTags"].get("pgherd-service") == id.service
            and s["freeformTags"]["pgherd-environment"] == id.environment
            and s["lifecycleState"] != "DELETED"
        ]
        return str(found)

    async def write(self, id: DatabaseId, row: str) -> None:
        self.cloud.rows(self.system(id)).append(row)

    async def rows(self, id: DatabaseId) -> list[str]:
        return list(self.cloud.rows(self.system(id)))


class TestOciEngine(EngineContract):
    is_slow = False
    chooses_durability = False

    @pytest.fixture
    def contract(self, cloud: LocalOci) -> Environment:
        oci = OciValues(
            region=ASHBURN,
            parent=cloud.config["tenancy"],
            pooler=PoolerTier.CREATE,
            accept=frozenset({Concession.STORAGE}),
        )
        return environment("contract", engine="oci", network="10.77.0.0/16", oci=oci)

    @pytest.fixture
    async def engine(
        self,
        cloud: LocalOci,
        contract: Environment,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> AsyncIterator[Engine]:
        for name, value in cloud.variables(tmp_path).items():
            monkeypatch.setenv(name, value)
        self.cloud = cloud
        yield OciEngine("ecommerce", [contract], tmp_path / "state")

    @pytest.fixture
    def client(self, cloud: LocalOci) -> OciClient:
        return OciClient(cloud)

    def make_use_of(self, engine: Engine, id: DatabaseId) -> None:
        for name, value in (
            ("CpuUtilization", 91.5),
            ("MemoryUtilization", 40.0),
            ("UsedStorage", 2.0**30),
        ):
            self.cloud.set_metric(OciClient(self.cloud).system(id), name, value)
