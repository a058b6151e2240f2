"""The order lines of the past have names too.

Reads the whole table under a lock that lets reads and writes pass.
"""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.execute("""
        ALTER TABLE order_lines VALIDATE CONSTRAINT order_lines_name_is_not_empty;
    """)
