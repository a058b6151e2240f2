# packages: mlflow psycopg2-binary
# MLflow's tracking store: the URI, with postgresql+psycopg2 in front.
migrate() { mlflow db upgrade "$SQLALCHEMY_URI" >/dev/null 2>&1; }
use() {
    python - "$1" <<'PY'
import os, sys
import mlflow
mlflow.set_tracking_uri(os.environ["SQLALCHEMY_URI"])
mlflow.set_experiment("shop")
for n in range(10):
    with mlflow.start_run(run_name=f"{sys.argv[1]}-{n}"):
        mlflow.log_params({"n": n})
        mlflow.log_metrics({"loss": 1 / (n + 1)}, step=n)
found = mlflow.search_runs(filter_string=f"attributes.run_name LIKE '{sys.argv[1]}-%'")
assert len(found) == 10, len(found)
PY
}
