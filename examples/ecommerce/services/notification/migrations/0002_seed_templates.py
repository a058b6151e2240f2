"""What there is to say, and a welcome to every customer."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute("""
        INSERT INTO templates (code, channel, subject, body) VALUES
            ('welcome', 'email', 'Welcome', 'Good to have you here, {name}.'),
            ('order_paid', 'email', 'Your order is paid', 'We have the money for {order}.'),
            ('order_shipped', 'push', 'Your order is on its way', 'Order {order} has left us.'),
            ('order_returned', 'email', 'Your return arrived', 'You get the money for {order}.');

        INSERT INTO notifications
            (id, customer_id, template_code, payload, status, queued_at, sent_at)
        SELECT ('40000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid,
               ('c0000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid,
               'welcome',
               jsonb_build_object('name', format('customer %s', n)),
               'sent',
               timestamptz '2026-01-01 00:00+00' + n * interval '7 hours',
               timestamptz '2026-01-01 00:01+00' + n * interval '7 hours'
        FROM generate_series(1, 60) AS n;
    """)
