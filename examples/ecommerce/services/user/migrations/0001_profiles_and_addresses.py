"""Who a customer is, and where the parcels go."""

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.execute("""
        CREATE DOMAIN country_code AS char(2) CHECK (VALUE ~ '^[A-Z]{2}$');

        CREATE TYPE address_kind AS ENUM ('shipping', 'billing');

        CREATE TABLE profiles (
            id            uuid PRIMARY KEY,
            display_name  text NOT NULL CHECK (length(display_name) BETWEEN 1 AND 100),
            email         text NOT NULL,
            newsletter    boolean NOT NULL DEFAULT false,
            created_at    timestamptz NOT NULL DEFAULT now(),
            updated_at    timestamptz NOT NULL DEFAULT now(),
            CHECK (updated_at >= created_at)
        );
        COMMENT ON COLUMN profiles.id IS 'the id of the account in the auth service';

        CREATE TABLE addresses (
            id          uuid PRIMARY KEY,
            profile_id  uuid NOT NULL REFERENCES profiles ON DELETE CASCADE,
            kind        address_kind NOT NULL,
            line        text NOT NULL,
            postcode    text NOT NULL,
            city        text NOT NULL,
            country     country_code NOT NULL,
            is_default  boolean NOT NULL DEFAULT false,
            created_at  timestamptz NOT NULL DEFAULT now()
        );
        CREATE INDEX addresses_profile_id ON addresses (profile_id);
        CREATE UNIQUE INDEX addresses_one_default ON addresses (profile_id, kind) WHERE is_default;
    """)
