"""Events, samples, alerts and kept values."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

revision = "0001"
down_revision = None

VALUES = (
    "ocpus",
    "cpu",
    "throttled",
    "memory",
    "hot",
    "storage",
    "transactions",
    "connections",
    "waiting",
    "lag",
)


def upgrade(op: Operations) -> None:
    """Make all tables."""
    id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "pgherd_events",
        sa.Column("id", id, primary_key=True, autoincrement=True),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("environment", sa.Text),
        sa.Column("database", sa.Text),
        sa.Column("details", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("pgherd_events_at", "pgherd_events", ["at"])
    op.create_index("pgherd_events_environment", "pgherd_events", ["environment", "id"])
    op.create_index("pgherd_events_database", "pgherd_events", ["database", "id"])

    columns: list[sa.Column[object]] = []
    for name in VALUES:
        columns.append(sa.Column(f"{name}_sum", sa.Double))
        columns.append(sa.Column(f"{name}_known", sa.Integer, nullable=False))
    op.create_table(
        "pgherd_samples",
        sa.Column("tier", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("at", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("database", sa.Text, primary_key=True),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("cpu_max", sa.Double),
        *columns,
        sqlite_with_rowid=False,
    )

    op.create_table(
        "pgherd_alerts",
        sa.Column("id", id, primary_key=True, autoincrement=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("since", sa.BigInteger, nullable=False),
        sa.Column("summary", sa.Text, nullable=False),
        sa.Column("remedy", sa.Text, nullable=False),
        sa.Column("ended_at", sa.BigInteger),
        sqlite_autoincrement=True,
    )
    is_open = sa.text("ended_at IS NULL")
    op.create_index(
        "pgherd_alerts_open",
        "pgherd_alerts",
        ["name", "subject"],
        unique=True,
        sqlite_where=is_open,
        postgresql_where=is_open,
    )
    op.create_index("pgherd_alerts_ended", "pgherd_alerts", ["ended_at"])

    op.create_table(
        "pgherd_kept",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("value", sa.LargeBinary, nullable=False),
    )
