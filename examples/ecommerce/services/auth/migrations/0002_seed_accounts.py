"""Sixty customers who were here before; the user service has their profiles."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute("""
        INSERT INTO accounts (id, email, password_hash, created_at)
        SELECT ('c0000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid,
               format('customer-%s@shop.example', n),
               '$argon2id$v=19$m=19456,t=2,p=1$' || encode(sha256(n::text::bytea), 'hex'),
               timestamptz '2026-01-01 00:00+00' + n * interval '7 hours'
        FROM generate_series(1, 60) AS n;
    """)
