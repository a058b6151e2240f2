# packages: apscheduler==4.0.0a6 asyncpg psycopg[binary] sqlalchemy[asyncio] sniffio
# APScheduler 4 with PostgreSQL as store and broker, which listens.
migrate() { :; }
use() {
    python - <<'PY'
import asyncio, os, time
from apscheduler import AsyncScheduler
from apscheduler.datastores.sqlalchemy import SQLAlchemyDataStore
from apscheduler.eventbrokers.psycopg import PsycopgEventBroker
from sqlalchemy.ext.asyncio import create_async_engine

done = []

async def job(n: int) -> int:
    done.append(n)
    return n * 2

async def main() -> None:
    engine = create_async_engine("postgresql+asyncpg://", connect_args={"dsn": os.environ["URI"]})
    broker = PsycopgEventBroker(os.environ["URI"])
    async with AsyncScheduler(SQLAlchemyDataStore(engine), broker) as scheduler:
        await scheduler.start_in_background()
        for n in range(5):
            began = time.monotonic()
            assert await asyncio.wait_for(scheduler.run_job(job, args=[n]), 20) == n * 2
            assert time.monotonic() - began < 5, "the job was not told at once"
    assert done == list(range(5))

asyncio.run(main())
PY
}
