"""Carriers, shipments, and where a parcel was seen."""

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.execute("""
        CREATE DOMAIN country_code AS char(2) CHECK (VALUE ~ '^[A-Z]{2}$');

        CREATE TYPE shipment_status AS ENUM ('packed', 'handed_over', 'delivered', 'lost');

        CREATE TABLE carriers (
            code  text PRIMARY KEY CHECK (code ~ '^[a-z]+$'),
            name  text NOT NULL
        );

        CREATE TABLE shipments (
            id            uuid PRIMARY KEY,
            order_id      uuid NOT NULL UNIQUE,
            carrier_code  text NOT NULL REFERENCES carriers,
            country       country_code NOT NULL,
            grams         integer NOT NULL CHECK (grams > 0),
            status        shipment_status NOT NULL DEFAULT 'packed',
            created_at    timestamptz NOT NULL DEFAULT now()
        );
        CREATE INDEX shipments_under_way ON shipments (carrier_code, created_at)
            WHERE status <> 'delivered';

        CREATE TABLE tracking_events (
            shipment_id  uuid NOT NULL REFERENCES shipments ON DELETE CASCADE,
            status       shipment_status NOT NULL,
            place        text NOT NULL,
            at           timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (shipment_id, status)
        );
    """)
