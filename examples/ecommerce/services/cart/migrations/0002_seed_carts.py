"""Twenty carts that were left behind, as carts are."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute("""
        INSERT INTO carts (id, customer_id, status, created_at, updated_at)
        SELECT ('ca000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid,
               ('c0000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid,
               'abandoned',
               timestamptz '2026-03-01 00:00+00' + n * interval '1 hour',
               timestamptz '2026-03-01 00:00+00' + n * interval '2 hours'
        FROM generate_series(1, 20) AS n;

        INSERT INTO cart_items (cart_id, product_id, quantity, unit_price_minor, added_at)
        SELECT ('ca000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid,
               ('b0000000-0000-4000-8000-' || lpad(to_hex(n * 3 + item), 12, '0'))::uuid,
               1 + (n + item) % 3,
               499 + ((n * 3 + item) * 7919) % 49500,
               timestamptz '2026-03-01 00:00+00' + n * interval '1 hour'
        FROM generate_series(1, 20) AS n, generate_series(1, 3) AS item;
    """)
