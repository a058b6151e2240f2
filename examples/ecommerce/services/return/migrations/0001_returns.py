"""What customers send back, and why."""

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.execute("""
        CREATE TYPE return_status AS ENUM ('requested', 'received', 'refunded', 'rejected');

        CREATE TABLE reasons (
            code   text PRIMARY KEY CHECK (code ~ '^[a-z]+(_[a-z]+)*$'),
            title  text NOT NULL
        );

        CREATE TABLE returns (
            id            uuid PRIMARY KEY,
            order_id      uuid NOT NULL UNIQUE,
            customer_id   uuid NOT NULL,
            reason_code   text NOT NULL REFERENCES reasons,
            status        return_status NOT NULL DEFAULT 'requested',
            requested_at  timestamptz NOT NULL DEFAULT now(),
            closed_at     timestamptz,
            CHECK ((status IN ('refunded', 'rejected')) = (closed_at IS NOT NULL))
        );
        CREATE INDEX returns_of_customer ON returns (customer_id, requested_at DESC);
        CREATE INDEX returns_to_work_on ON returns (requested_at) WHERE closed_at IS NULL;

        CREATE TABLE return_lines (
            return_id   uuid NOT NULL REFERENCES returns ON DELETE CASCADE,
            product_id  uuid NOT NULL,
            quantity    smallint NOT NULL CHECK (quantity BETWEEN 1 AND 99),
            PRIMARY KEY (return_id, product_id)
        );
    """)
