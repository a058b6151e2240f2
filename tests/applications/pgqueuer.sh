# packages: pgqueuer[asyncpg]
# pgqueuer: a queue whose workers are told by NOTIFY.
migrate() { pgq install >/dev/null; }
use() {
    python - <<'PY'
import asyncio, os, time
import asyncpg
from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgDriver
from pgqueuer.models import Job
from pgqueuer.queries import Queries

async def main() -> None:
    taken = asyncio.Queue()
    queuer = PgQueuer(AsyncpgDriver(await asyncpg.connect(os.environ["URI"])))

    @queuer.entrypoint("order")
    async def order(job: Job) -> None:
        await taken.put((job.payload, time.monotonic()))

    worker = asyncio.create_task(queuer.run())
    await asyncio.sleep(1)
    queries = Queries(AsyncpgDriver(await asyncpg.connect(os.environ["URI"])))
    for n in range(10):
        began = time.monotonic()
        await queries.enqueue("order", f"{os.getpid()} {n}".encode())
        # A job that an earlier worker did not live to do may come first.
        while True:
            payload, at = await asyncio.wait_for(taken.get(), 30)
            if payload == f"{os.getpid()} {n}".encode():
                break
        assert at - began < 2, f"told after {at - began:.1f} s"
    queuer.shutdown.set()
    await asyncio.wait_for(worker, 40)

asyncio.run(main())
PY
}
