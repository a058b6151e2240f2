"""Four carriers, and the parcels of last spring."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute("""
        INSERT INTO carriers (code, name) VALUES
            ('heron', 'Heron Parcels'), ('stork', 'Stork Express'),
            ('tern', 'Tern Overseas'), ('wren', 'Wren Local');

        INSERT INTO shipments (id, order_id, carrier_code, country, grams, status, created_at)
        SELECT ('5a000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid,
               ('0d000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid,
               (ARRAY['heron', 'stork', 'tern', 'wren'])[1 + n % 4],
               (ARRAY['NG', 'SE', 'FR', 'JP', 'CZ', 'JO'])[1 + (1 + n % 20) % 6],
               300 + n * 40,
               'delivered',
               timestamptz '2026-04-02 00:00+00' + n * interval '5 hours'
        FROM generate_series(1, 30) AS n;

        INSERT INTO tracking_events (shipment_id, status, place, at)
        SELECT shipments.id, step.status, step.place, shipments.created_at + step.after
        FROM shipments,
             (VALUES ('packed'::shipment_status, 'warehouse', interval '0'),
                     ('handed_over', 'depot', interval '3 hours'),
                     ('delivered', 'door', interval '2 days')) AS step (status, place, after);
    """)
