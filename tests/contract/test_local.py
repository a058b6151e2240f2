"""The local engine keeps the contract, with real PostgreSQL, Patroni, etcd and PgBouncer."""

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from clients import PsycopgClient
from engine_contract import EngineContract

from pgherd.contract.engine import Engine
from pgherd.engines.local.engine import LocalEngine
from pgherd.engines.local.layout import Layout

pytestmark = pytest.mark.integration


@pytest.fixture
def root() -> Iterator[Path]:
    """A state folder that the databases' user can reach, with a short path."""
    folder = Path(tempfile.mkdtemp(dir="/tmp", prefix="pgh-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


class TestLocalEngine(EngineContract):
    takes_backups = False
    measures = False

    @pytest.fixture
    async def engine(self, root: Path) -> AsyncIterator[Engine]:
        engine = LocalEngine("contract", Layout(root / "contract"))
        yield engine
        for id in (await engine.observe()).databases:
            await engine.ensure_absent(id)
        for environment in (await engine.observe()).environments:
            await engine.ensure_environment_absent(environment)

    @pytest.fixture
    def client(self, engine: Engine) -> PsycopgClient:
        return PsycopgClient(engine)
