# packages: dagster dagster-postgres pendulum<3 pydantic<2 sqlalchemy<2
# Dagster's runs, events and schedules in PostgreSQL; its event log listens.
prepare() {
    mkdir -p home
    cat >home/dagster.yaml <<'YAML'
storage:
  postgres:
    postgres_url: {env: URI}
telemetry: {enabled: false}
YAML
    cat >shop.py <<'PY'
import dagster

@dagster.asset
def orders() -> int:
    return 42

definitions = dagster.Definitions(assets=[orders], jobs=[dagster.define_asset_job("all_orders")])
PY
}
migrate() {
    DAGSTER_HOME=$PWD/home python -c "
from dagster import DagsterInstance
DagsterInstance.get().get_runs()"
}
work() { DAGSTER_HOME=$PWD/home exec dagster-daemon run -f shop.py; }
use() {
    export DAGSTER_HOME=$PWD/home
    dagster job launch -f shop.py -j all_orders >/dev/null 2>&1
    python - "$1" <<'PY'
import sys, threading, time
from dagster import DagsterInstance, DagsterRunStatus
instance = DagsterInstance.get()
deadline = time.monotonic() + 120
while True:
    done = [r for r in instance.get_runs() if r.status == DagsterRunStatus.SUCCESS]
    if len(done) >= int(sys.argv[1]):
        break
    assert time.monotonic() < deadline, [r.status for r in instance.get_runs()]
    time.sleep(1)
# The event log tells of a run by LISTEN.
seen = threading.Event()
run = instance.create_run_for_job(__import__("shop").definitions.get_job_def("all_orders"))
instance.watch_event_logs(run.run_id, None, lambda *event: seen.set())
time.sleep(1)
instance.report_engine_event("told", run)
assert seen.wait(5), "the event log heard nothing"
PY
}
