# packages: apache-airflow==2.10.5 psycopg2-binary
# Airflow's metadata in PostgreSQL: the URI, with postgresql+psycopg2 in front; LocalExecutor.
settings() {
    export AIRFLOW_HOME=$PWD/home AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=$SQLALCHEMY_URI
    export AIRFLOW__CORE__EXECUTOR=LocalExecutor AIRFLOW__CORE__LOAD_EXAMPLES=False
    export AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION=False
    export AIRFLOW__SCHEDULER__DAG_DIR_LIST_INTERVAL=5
}
prepare() {
    mkdir -p home/dags
    cat >home/dags/shop.py <<'PY'
from datetime import datetime
from airflow import DAG
from airflow.operators.python import PythonOperator

with DAG("shop", start_date=datetime(2024, 1, 1), schedule=None) as dag:
    first = PythonOperator(task_id="first", python_callable=lambda: 20)
    second = PythonOperator(task_id="second", python_callable=lambda ti: ti.xcom_pull("first") + 1)
    first >> second
PY
}
migrate() { settings && airflow db migrate >/dev/null 2>&1; }
work() { settings && exec airflow scheduler; }
use() {
    settings
    until airflow dags trigger shop -r "run-$1" >/dev/null 2>&1; do sleep 2; done
    for _ in $(seq 60); do
        state=$(psql -X -At -c "SELECT state FROM dag_run WHERE run_id = 'run-$1'")
        [ "$state" != success ] || return 0
        [ "$state" != failed ] || return 1
        sleep 2
    done
    echo "the run is $state after two minutes" >&2
    return 1
}
