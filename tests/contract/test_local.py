"""The local engine keeps its promises, with real PostgreSQL, Patroni, etcd and PgBouncer.

Servers are made once for each class: the promises of a class share a state folder.
"""

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from clients import PsycopgClient
from engine_contract import EngineContract, clear, new_row
from own_folder import own_folder
from promises_of_abilities import CertificatePromises, LogPromises, MeterPromises, ReachPromises
from promises_of_backups import (
    ArchivePromises,
    BackupPromises,
    Past,
    ProofPromises,
    VerifierPromises,
)
from promises_of_changes import CrashPromises, PrimaryPromises, StopPromises
from promises_of_clones import ClonePromises
from promises_of_databases import DatabasePromises, ReplicaPromises, SizePromises
from promises_of_goals import GoalPromises, Progress, UndoPromises
from promises_of_places import EmptyPlacePromises, EnvironmentPromises

from pgherd.contract.access import AccessRole
from pgherd.contract.backups import Backups, Latest, Moment, Position, Transaction, lsn_of
from pgherd.contract.engine import Engine
from pgherd.engines.alone import alone as alone_at
from pgherd.engines.local.engine import LocalEngine
from pgherd.engines.local.layout import Layout, data_plane_owner
from pgherd.errors import Busy, InputError, NeedsHuman
from pgherd.fleet.desired import Database, DatabaseId

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


@contextmanager
def small_disk(path: Path, owner: int) -> Iterator[None]:
    """In memory."""
    options = f"size=16m,uid={owner},mode=0700"
    mounted = subprocess.run(
        ["/bin/mount", "-t", "tmpfs", "-o", options, "tmpfs", path], check=False
    )
    if mounted.returncode != 0:
        pytest.skip("nobody may mount anything here")
    try:
        yield
    finally:
        subprocess.run(["/bin/umount", path], check=True)


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
    async def test_what_does_not_fit_is_refused_before_anything_is_moved(
        self,
        root: Path,
        engine: Engine,
        backups: Backups,
        alone: Database,
        past: Past,
        copy: Database,
        client: PsycopgClient,
    ) -> None:
        """A disk of 16 MB, where the copy would be, and where the database keeps its own."""
        layout = Layout(root / "contract")
        goal = Moment(past.moment)
        found = await backups.predict(alone.id, copy, goal)
        assert found.backup in [b.name for b in (await backups.history(alone.id)).backups]
        assert found.bytes and found.free_bytes and found.bytes < found.free_bytes
        owner = data_plane_owner()
        there = layout.kept_by(copy.id, 1)
        for path in (there.parent, there):
            path.mkdir()
            shutil.chown(path, owner.uid, owner.gid)
        with small_disk(there, owner.uid):
            for call in (backups.predict, backups.restore):
                with pytest.raises(NeedsHuman, match="does not fit in "):
                    await call(alone.id, copy, goal)
            assert list(there.iterdir()) == []
        assert copy.id not in (await engine.observe()).databases
        await backups.restore(alone.id, copy, goal)
        assert past.before in await client.rows(copy.id)
        # The next one is predicted from what that took.
        again = await backups.predict(alone.id, alone, goal)
        assert not again.is_guess
        assert again.seconds


class TestClones(OnThisMachine, ClonePromises):
    pass


class TestUndoing(OnThisMachine, UndoPromises):
    async def test_what_is_kept_is_gone_with_the_next_backup_after_its_time(
        self,
        root: Path,
        engine: LocalEngine,
        backups: Backups,
        alone: Database,
        past: Past,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        await backups.restore(alone.id, alone, Moment(past.moment))
        kept = (await backups.history(alone.id)).kept
        assert kept is not None
        folder = Layout(root / "contract").kept_by(alone.id, 1) / "before"
        await backups.back_up(alone.id)
        assert folder.is_dir()
        monkeypatch.setattr(engine._place, "now", lambda: kept.until)
        assert (await backups.history(alone.id)).kept is None
        with pytest.raises(InputError, match="nothing is kept"):
            await backups.undo(alone.id)
        assert folder.is_dir()
        await backups.back_up(alone.id)
        assert not folder.exists()

    async def test_one_restore_at_a_time(
        self, root: Path, backups: Backups, alone: Database, past: Past
    ) -> None:
        locks = root / "contract.backups" / alone.id.environment / "restores"
        await backups.restore(alone.id, alone, Moment(past.moment))
        with alone_at(locks / "auth.lock", "another"):
            for call in (backups.undo, backups.discard):
                with pytest.raises(Busy, match="a restore of contract/auth is under way"):
                    await call(alone.id)
        await backups.undo(alone.id)


class TestGoals(OnThisMachine, GoalPromises):
    @pytest.fixture
    def progress(self, engine: Engine) -> Progress:
        async def progress(id: DatabaseId) -> tuple[Position, Transaction]:
            access = await engine.access(id, AccessRole.SERVICE)
            async with await psycopg.AsyncConnection.connect(access.uri()) as session:
                cursor = await session.execute(
                    "SELECT pg_current_wal_lsn()::text, pg_current_xact_id()::text"
                )
                lsn, transaction = await cursor.fetchone() or ("", "0")
            return Position(lsn_of(lsn) or 0), Transaction(int(transaction))

        return progress

    async def test_wal_that_is_missing_is_said_and_nothing_less_is_brought_back(
        self,
        root: Path,
        engine: Engine,
        backups: Backups,
        alone: Database,
        past: Past,
        copy: Database,
    ) -> None:
        def segments() -> set[Path]:
            return set(root.glob("contract.backups/*/repository/archive/*/*/*/*.lz4"))

        before = segments()
        for _ in range(3):
            await backups.make_point(alone.id, new_row())
        for path in sorted(segments() - before)[:2]:
            path.unlink()
        for goal in (Latest(), Moment(datetime.now(UTC))):
            with pytest.raises(NeedsHuman, match="is not in its archive"):
                await backups.restore(alone.id, copy, goal)
        assert copy.id not in (await engine.observe()).databases


class TestProofs(OnThisMachine, ProofPromises):
    pass


class TestArchives(OnThisMachine, ArchivePromises):
    pass


class TestVerifier(OnThisMachine, VerifierPromises):
    pass
