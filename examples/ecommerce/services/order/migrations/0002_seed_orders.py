"""Thirty orders of last spring: paid, shipped, some returned."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute("""
        INSERT INTO orders (id, customer_id, cart_id, status, total_minor, currency, placed_at)
        SELECT ('0d000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid,
               ('c0000000-0000-4000-8000-' || lpad(to_hex(1 + n % 20), 12, '0'))::uuid,
               gen.cart_id,
               (CASE WHEN n % 10 = 0 THEN 'returned' ELSE 'shipped' END)::order_status,
               gen.total,
               'EUR',
               timestamptz '2026-04-01 00:00+00' + n * interval '5 hours'
        FROM generate_series(1, 30) AS n
        CROSS JOIN LATERAL (SELECT
            ('ca000000-0000-4000-8000-' || lpad(to_hex(1000 + n), 12, '0'))::uuid AS cart_id,
            2 * (499 + (n * 7919) % 49500) AS total
        ) AS gen;

        INSERT INTO order_lines (order_id, line, product_id, name, quantity, unit_price_minor)
        SELECT ('0d000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid,
               1,
               ('b0000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid,
               format('SHP-%s', lpad(n::text, 5, '0')),
               2,
               499 + (n * 7919) % 49500
        FROM generate_series(1, 30) AS n;

        INSERT INTO order_events (order_id, status, at)
        SELECT orders.id, step.status, orders.placed_at + step.after
        FROM orders
        JOIN (VALUES ('placed'::order_status, interval '0'), ('paid', interval '1 minute'),
                     ('shipped', interval '1 day'), ('returned', interval '9 days')
             ) AS step (status, after)
          ON step.status <= orders.status;
    """)
