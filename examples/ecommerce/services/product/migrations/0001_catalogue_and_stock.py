"""The catalogue, its full-text search, and a stock that is the sum of its movements."""

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.execute("""
        CREATE DOMAIN currency_code AS char(3) CHECK (VALUE ~ '^[A-Z]{3}$');

        CREATE TYPE movement_reason AS ENUM ('delivery', 'reservation', 'return');

        CREATE TABLE categories (
            id         integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            parent_id  integer REFERENCES categories,
            slug       text NOT NULL UNIQUE CHECK (slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$'),
            name       text NOT NULL
        );
        CREATE INDEX categories_parent_id ON categories (parent_id);

        CREATE TABLE products (
            id           uuid PRIMARY KEY DEFAULT gen_random_uuid(),
            sku          text NOT NULL UNIQUE CHECK (sku ~ '^[A-Z]{3}-[0-9]{5}$'),
            category_id  integer NOT NULL REFERENCES categories,
            name         text NOT NULL,
            description  text NOT NULL,
            price_minor  bigint NOT NULL CHECK (price_minor > 0),
            currency     currency_code NOT NULL,
            is_active    boolean NOT NULL DEFAULT true,
            created_at   timestamptz NOT NULL DEFAULT now(),
            search       tsvector NOT NULL GENERATED ALWAYS AS (
                             setweight(to_tsvector('english', name), 'A')
                             || setweight(to_tsvector('english', description), 'B')
                         ) STORED
        );
        CREATE INDEX products_in_category ON products (category_id, price_minor) WHERE is_active;
        CREATE INDEX products_search ON products USING gin (search);

        CREATE TABLE stock (
            product_id  uuid PRIMARY KEY REFERENCES products,
            available   integer NOT NULL CHECK (available >= 0)
        );

        CREATE TABLE stock_movements (
            reference   uuid NOT NULL,
            product_id  uuid NOT NULL REFERENCES stock,
            quantity    integer NOT NULL CHECK (quantity <> 0),
            reason      movement_reason NOT NULL,
            at          timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (reference, product_id),
            CHECK ((reason = 'reservation') = (quantity < 0))
        );
        COMMENT ON COLUMN stock_movements.reference
            IS 'the order, return or delivery that moved it';
        CREATE INDEX stock_movements_of_product ON stock_movements (product_id, at DESC);
    """)
