"""Four campaigns with ten coupons each; every fifth coupon is scarce."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute("""
        INSERT INTO campaigns (name, during) VALUES
            ('Opening', tstzrange('2026-01-01 00:00+00', NULL)),
            ('Newsletter', tstzrange('2026-02-01 00:00+00', NULL)),
            ('Friends', tstzrange('2026-03-01 00:00+00', NULL)),
            ('Last winter', tstzrange('2025-12-01 00:00+00', '2026-03-01 00:00+00'));

        INSERT INTO coupons (code, campaign_id, percent, max_redemptions)
        SELECT upper(left(replace(campaigns.name, ' ', ''), 6)) || lpad(n::text, 2, '0'),
               campaigns.id,
               5 * (1 + n % 4),
               CASE WHEN n % 5 = 0 THEN 100 END
        FROM campaigns, generate_series(1, 10) AS n;
    """)
