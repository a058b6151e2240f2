"""The profiles of the sixty customers whom the auth service knows."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute("""
        INSERT INTO profiles (id, display_name, email, newsletter, created_at, updated_at)
        SELECT ('c0000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid,
               (ARRAY['Ada', 'Ben', 'Chidi', 'Dana', 'Emre', 'Fatima', 'Goran'])[1 + n % 7]
                   || ' ' ||
               (ARRAY['Okafor', 'Lind', 'Moreau', 'Sato', 'Novak', 'Haddad'])[1 + n % 6],
               format('customer-%s@shop.example', n),
               n % 3 = 0,
               timestamptz '2026-01-01 00:00+00' + n * interval '7 hours',
               timestamptz '2026-01-01 00:00+00' + n * interval '7 hours'
        FROM generate_series(1, 60) AS n;

        INSERT INTO addresses
            (id, profile_id, kind, line, postcode, city, country, is_default, created_at)
        SELECT ('ad000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid,
               ('c0000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid,
               'shipping',
               format('%s Harbour Road', n),
               lpad((10000 + n * 37)::text, 5, '0'),
               (ARRAY['Lagos', 'Lund', 'Lyon', 'Osaka', 'Brno', 'Amman'])[1 + n % 6],
               (ARRAY['NG', 'SE', 'FR', 'JP', 'CZ', 'JO'])[1 + n % 6],
               true,
               timestamptz '2026-01-01 00:00+00' + n * interval '7 hours'
        FROM generate_series(1, 60) AS n;
    """)
