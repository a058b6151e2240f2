"""Campaigns, their coupons, and who redeemed them."""

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.execute("""
        CREATE DOMAIN coupon_code AS text CHECK (VALUE ~ '^[A-Z0-9]{4,20}$');

        CREATE TABLE campaigns (
            id      integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            name    text NOT NULL UNIQUE,
            during  tstzrange NOT NULL CHECK (NOT isempty(during))
        );

        CREATE TABLE coupons (
            code             coupon_code PRIMARY KEY,
            campaign_id      integer NOT NULL REFERENCES campaigns,
            percent          smallint NOT NULL CHECK (percent BETWEEN 1 AND 90),
            max_redemptions  integer CHECK (max_redemptions > 0),
            redeemed         integer NOT NULL DEFAULT 0 CHECK (redeemed >= 0),
            CHECK (redeemed <= max_redemptions)
        );
        CREATE INDEX coupons_campaign_id ON coupons (campaign_id);

        CREATE TABLE redemptions (
            order_id      uuid PRIMARY KEY,
            coupon_code   coupon_code NOT NULL REFERENCES coupons,
            customer_id   uuid NOT NULL,
            amount_minor  bigint NOT NULL CHECK (amount_minor > 0),
            redeemed_at   timestamptz NOT NULL DEFAULT now()
        );
        CREATE INDEX redemptions_of_coupon ON redemptions (coupon_code);
    """)
