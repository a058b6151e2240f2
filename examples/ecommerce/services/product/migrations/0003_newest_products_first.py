"""The shop"s front page lists the newest products."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    # Built beside the running shop. A build that was interrupted leaves an invalid index, which
    # IF NOT EXISTS would keep: so it is dropped first, and the revision may run again.
    with op.get_context().autocommit_block():
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS products_newest")
        op.execute(
            "CREATE INDEX CONCURRENTLY products_newest ON products (created_at DESC) "
            "WHERE is_active"
        )
