# packages: prefect
# Prefect's server; it makes the extension pg_trgm.
settings() {
    export PREFECT_API_DATABASE_CONNECTION_URL=$ASYNCPG_URI PREFECT_HOME=$PWD/home
    export PREFECT_SERVER_ANALYTICS_ENABLED=false
}
migrate() { settings && prefect server database upgrade -y >upgrade.log 2>&1 || { tail -n 3 upgrade.log >&2; return 1; }; }
work() { settings && exec prefect server start --port 4299; }
use() {
    settings
    PREFECT_API_URL=http://127.0.0.1:4299/api python - <<'PY'
import time, urllib.request
from prefect import flow, task
for _ in range(60):
    try:
        urllib.request.urlopen("http://127.0.0.1:4299/api/health").read()
        break
    except OSError:
        time.sleep(1)

@task
def double(n: int) -> int:
    return n * 2

@flow
def orders() -> int:
    return sum(double(n) for n in range(5))

assert orders() == 20
PY
}
