"""Carts: at most one open cart for each customer."""

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.execute("""
        CREATE DOMAIN currency_code AS char(3) CHECK (VALUE ~ '^[A-Z]{3}$');

        CREATE TYPE cart_status AS ENUM ('open', 'ordered', 'abandoned');

        CREATE TABLE carts (
            id           uuid PRIMARY KEY,
            customer_id  uuid NOT NULL,
            status       cart_status NOT NULL DEFAULT 'open',
            currency     currency_code NOT NULL DEFAULT 'EUR',
            created_at   timestamptz NOT NULL DEFAULT now(),
            updated_at   timestamptz NOT NULL DEFAULT now()
        );
        CREATE UNIQUE INDEX carts_one_open ON carts (customer_id) WHERE status = 'open';
        CREATE INDEX carts_forgotten ON carts (updated_at) WHERE status = 'open';

        CREATE TABLE cart_items (
            cart_id           uuid NOT NULL REFERENCES carts ON DELETE CASCADE,
            product_id        uuid NOT NULL,
            quantity          smallint NOT NULL CHECK (quantity BETWEEN 1 AND 99),
            unit_price_minor  bigint NOT NULL CHECK (unit_price_minor > 0),
            added_at          timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (cart_id, product_id)
        );
    """)
