"""How the customers pay, and the payments of last spring"s orders."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute("""
        INSERT INTO payment_methods (id, customer_id, kind, last_digits, created_at)
        SELECT ('ee000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid,
               ('c0000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid,
               (CASE WHEN n % 4 = 0 THEN 'wallet' ELSE 'card' END)::method_kind,
               CASE WHEN n % 4 <> 0 THEN lpad((n * 7919 % 10000)::text, 4, '0') END,
               timestamptz '2026-01-01 00:00+00' + n * interval '7 hours'
        FROM generate_series(1, 60) AS n;

        INSERT INTO payments (id, order_id, method_id, amount_minor, currency, status, created_at)
        SELECT ('fa000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid,
               ('0d000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid,
               ('ee000000-0000-4000-8000-' || lpad(to_hex(1 + n % 20), 12, '0'))::uuid,
               2 * (499 + (n * 7919) % 49500),
               'EUR',
               (CASE WHEN n % 10 = 0 THEN 'refunded' ELSE 'captured' END)::payment_status,
               timestamptz '2026-04-01 00:01+00' + n * interval '5 hours'
        FROM generate_series(1, 30) AS n;

        INSERT INTO refunds (id, payment_id, return_id, amount_minor, created_at)
        SELECT ('fb000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid,
               payments.id,
               ('4e000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid,
               payments.amount_minor,
               payments.created_at + interval '9 days'
        FROM generate_series(10, 30, 10) AS n
        JOIN payments
          ON payments.id = ('fa000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid;

        INSERT INTO ledger_entries (reference, account, amount_minor, booked_at)
        SELECT id, account, CASE account WHEN 'merchant' THEN amount_minor ELSE -amount_minor END,
               created_at
        FROM payments, unnest(enum_range(NULL::ledger_account)) AS account
        UNION ALL
        SELECT id, account, CASE account WHEN 'merchant' THEN -amount_minor ELSE amount_minor END,
               created_at
        FROM refunds, unnest(enum_range(NULL::ledger_account)) AS account;
    """)
