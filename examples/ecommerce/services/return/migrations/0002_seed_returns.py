"""The reasons, and three returns of last spring."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute("""
        INSERT INTO reasons (code, title) VALUES
            ('changed_mind', 'Changed my mind'), ('damaged', 'Arrived damaged'),
            ('not_as_described', 'Not as described'), ('too_late', 'Arrived too late');

        INSERT INTO returns
            (id, order_id, customer_id, reason_code, status, requested_at, closed_at)
        SELECT ('4e000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid,
               ('0d000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid,
               ('c0000000-0000-4000-8000-' || lpad(to_hex(1 + n % 20), 12, '0'))::uuid,
               (ARRAY['changed_mind', 'damaged', 'too_late'])[n / 10],
               'refunded',
               timestamptz '2026-04-06 00:00+00' + n * interval '5 hours',
               timestamptz '2026-04-10 00:00+00' + n * interval '5 hours'
        FROM generate_series(10, 30, 10) AS n;

        INSERT INTO return_lines (return_id, product_id, quantity)
        SELECT ('4e000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid,
               ('b0000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid,
               2
        FROM generate_series(10, 30, 10) AS n;
    """)
