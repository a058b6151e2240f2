"""The engine for OCI keeps its promises, against the strict local OCI.

That shows that pgherd and the SDK's own description of the service agree, not that it runs on OCI.
"""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from engine_contract import EngineContract
from promises_of_abilities import CertificatePromises, LogPromises, MeterPromises, SettingPromises
from promises_of_backups import BackupPromises, Past, ProofPromises
from promises_of_changes import CrashPromises, PrimaryPromises, StopPromises
from promises_of_databases import DatabasePromises, ReplicaPromises, SizePromises
from promises_of_places import EmptyPlacePromises, EnvironmentPromises

from pgherd.contract.access import Access
from pgherd.contract.backups import Backups, Moment
from pgherd.contract.engine import Engine
from pgherd.contract.proofs import Check
from pgherd.engines.oci.engine import OciEngine
from pgherd.engines.oci.proofs import OciProofs
from pgherd.engines.oci.values import Concession, OciValues, PoolerTier
from pgherd.errors import InputError
from pgherd.fleet.desired import Database, DatabaseId, Environment
from pgherd.testing.fleets import database, environment
from pgherd.testing.oci.server import LocalOci

pytestmark = pytest.mark.local_oci

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


class NothingBehind:
    """Finds all well, since the local OCI has no poolers and no PostgreSQL to be looked at."""

    async def is_near(self, addresses: Sequence[str], port: int) -> bool:
        return True

    async def answer(self, access: Access) -> None:
        pass

    async def checks(self, access: Access) -> tuple[Check, ...]:
        return (Check("tables", ok=True, detail="1 table, 1 row"),)


@pytest.fixture(scope="class")
def cloud() -> Iterator[LocalOci]:
    with LocalOci() as running:
        yield running


@pytest.fixture(scope="class")
def state(cloud: LocalOci, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The engine's folder, where the SDK is told of the local OCI."""
    folder = tmp_path_factory.mktemp("oci")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in cloud.variables(folder).items():
            patch.setenv(name, value)
        yield folder / "state"


class OnOci(EngineContract):
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
    async def engine(self, contract: Environment, state: Path) -> AsyncIterator[Engine]:
        yield OciEngine("ecommerce", [contract], state)

    @pytest.fixture
    def client(self, cloud: LocalOci) -> OciClient:
        return OciClient(cloud)

    @pytest.fixture
    def use(self, cloud: LocalOci) -> Callable[[DatabaseId], None]:
        def use(id: DatabaseId) -> None:
            for name, value in (
                ("CpuUtilization", 91.5),
                ("MemoryUtilization", 40.0),
                ("UsedStorage", 2.0**30),
            ):
                cloud.set_metric(OciClient(cloud).system(id), name, value)

        return use


class TestEmptyPlace(OnOci, EmptyPlacePromises):
    pass


class TestEnvironments(OnOci, EnvironmentPromises):
    pass


class TestDatabases(OnOci, DatabasePromises):
    pass


class TestReplicas(OnOci, ReplicaPromises):
    pass


class TestSizes(OnOci, SizePromises):
    pass


class TestPrimaries(OnOci, PrimaryPromises):
    pass


class TestStops(OnOci, StopPromises):
    pass


class TestCrashes(OnOci, CrashPromises):
    pass


class TestCertificates(OnOci, CertificatePromises):
    pass


class TestLogs(OnOci, LogPromises):
    pass


class TestMeter(OnOci, MeterPromises):
    pass


class TestSettings(OnOci, SettingPromises):
    pass


class TestBackups(OnOci, BackupPromises):
    async def test_a_copy_in_another_environment_is_refused(
        self, backups: Backups, alone: Database, past: Past
    ) -> None:
        twin = database("auth", replace(alone.environment, name="elsewhere"))
        for call in (backups.predict, backups.restore):
            with pytest.raises(InputError, match="within its environment only"):
                await call(alone.id, twin, Moment(past.moment))


class TestProofs(OnOci, ProofPromises):
    @pytest.fixture
    async def engine(self, contract: Environment, state: Path) -> AsyncIterator[Engine]:
        engine = OciEngine("ecommerce", [contract], state)
        engine.proofs = OciProofs(engine._tenancy, engine._eye, NothingBehind())
        yield engine


def test_pgherd_itself_reaches_no_database(tmp_path: Path) -> None:
    assert OciEngine("ecommerce", [], tmp_path).reach is None
