"""Orders, their lines, and what happened to them."""

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.execute("""
        CREATE DOMAIN currency_code AS char(3) CHECK (VALUE ~ '^[A-Z]{3}$');

        CREATE TYPE order_status AS ENUM ('placed', 'paid', 'shipped', 'returned', 'cancelled');

        CREATE TABLE orders (
            id              uuid PRIMARY KEY,
            customer_id     uuid NOT NULL,
            cart_id         uuid NOT NULL,
            status          order_status NOT NULL DEFAULT 'placed',
            discount_minor  bigint NOT NULL DEFAULT 0 CHECK (discount_minor >= 0),
            total_minor     bigint NOT NULL CHECK (total_minor > 0),
            currency        currency_code NOT NULL,
            placed_at       timestamptz NOT NULL DEFAULT now()
        );
        CREATE INDEX orders_of_customer ON orders (customer_id, placed_at DESC);
        CREATE INDEX orders_to_work_on ON orders (placed_at) WHERE status IN ('placed', 'paid');

        CREATE TABLE order_lines (
            order_id          uuid NOT NULL REFERENCES orders ON DELETE CASCADE,
            line              smallint NOT NULL CHECK (line > 0),
            product_id        uuid NOT NULL,
            name              text NOT NULL,
            quantity          smallint NOT NULL CHECK (quantity BETWEEN 1 AND 99),
            unit_price_minor  bigint NOT NULL CHECK (unit_price_minor > 0),
            PRIMARY KEY (order_id, line),
            UNIQUE (order_id, product_id)
        );

        CREATE TABLE order_events (
            order_id  uuid NOT NULL REFERENCES orders ON DELETE CASCADE,
            status    order_status NOT NULL,
            at        timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (order_id, status)
        );
    """)
