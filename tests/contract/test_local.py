"""The local engine keeps its promises, with real PostgreSQL, Patroni, etcd and PgBouncer.

Servers are made once for each class: the promises of a class share a state folder.
"""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from clients import PsycopgClient
from engine_contract import EngineContract, clear
from own_folder import own_folder
from promises_of_abilities import CertificatePromises, LogPromises, MeterPromises, ReachPromises
from promises_of_backups import BackupPromises, ProofPromises
from promises_of_changes import CrashPromises, PrimaryPromises, StopPromises
from promises_of_databases import DatabasePromises, ReplicaPromises, SizePromises
from promises_of_places import EmptyPlacePromises, EnvironmentPromises

from pgherd.contract.engine import Engine
from pgherd.engines.local.engine import LocalEngine
from pgherd.engines.local.layout import Layout
from pgherd.fleet.desired import DatabaseId

pytestmark = pytest.mark.integration


@pytest.fixture(scope="class")
def root() -> Iterator[Path]:
    """A state folder that the databases' user can reach, with a short path."""
    folder = own_folder("pgh-", "contract")
    yield folder
    asyncio.run(clear(_engine(folder)))
    shutil.rmtree(folder)


class OnThisMachine(EngineContract):
    @pytest.fixture
    async def engine(self, root: Path) -> AsyncIterator[Engine]:
        yield _engine(root)

    @pytest.fixture
    def client(self, engine: Engine) -> PsycopgClient:
        return PsycopgClient(engine)


def _engine(root: Path) -> LocalEngine:
    return LocalEngine("contract", Layout(root / "contract"))


class TestEmptyPlace(OnThisMachine, EmptyPlacePromises):
    pass


class TestEnvironments(OnThisMachine, EnvironmentPromises):
    pass


class TestDatabases(OnThisMachine, DatabasePromises):
    pass


class TestReplicas(OnThisMachine, ReplicaPromises):
    pass


class TestSizes(OnThisMachine, SizePromises):
    pass


class TestPrimaries(OnThisMachine, PrimaryPromises):
    pass


class TestStops(OnThisMachine, StopPromises):
    pass


class TestCrashes(OnThisMachine, CrashPromises):
    pass


class TestCertificates(OnThisMachine, CertificatePromises):
    pass


class TestLogs(OnThisMachine, LogPromises):
    pass


class TestMeter(OnThisMachine, MeterPromises):
    @pytest.fixture
    def use(self) -> Callable[[DatabaseId], None]:
        """A server that runs uses something."""
        return lambda _: None


class TestReach(OnThisMachine, ReachPromises):
    pass


class TestBackups(OnThisMachine, BackupPromises):
    pass


class TestProofs(OnThisMachine, ProofPromises):
    pass
