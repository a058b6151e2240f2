# packages: sqlalchemy psycopg2-binary
# SQLAlchemy's pool over psycopg2, with start-up parameters and server-side cursors.
migrate() { :; }
use() {
    python - "$1" <<'PY'
import os, sys
from concurrent.futures import ThreadPoolExecutor
import sqlalchemy as sa

engine = sa.create_engine(
    os.environ["SQLALCHEMY_URI"], pool_size=5, pool_pre_ping=True,
    connect_args={"options": "-c search_path=public -c statement_timeout=61000"},
)
meta = sa.MetaData()
orders = sa.Table("orders", meta, sa.Column("id", sa.Integer, primary_key=True), sa.Column("who", sa.Text))
meta.create_all(engine)

def client(number: int) -> None:
    who = f"{sys.argv[1]}-{number}"
    with engine.begin() as connection:
        connection.execute(orders.insert(), [{"who": who}] * 20)
    for _ in range(20):
        with engine.connect() as connection:
            assert connection.scalar(sa.text("SHOW statement_timeout")) == "61s"
            rows = connection.execution_options(stream_results=True, yield_per=3).execute(
                sa.select(orders.c.who).where(orders.c.who == who))
            assert [row.who for row in rows] == [who] * 20

with ThreadPoolExecutor(8) as pool:
    list(pool.map(client, range(8)))
PY
}
