"""Payments, refunds, and a ledger that always adds up to nothing."""

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.execute("""
        CREATE DOMAIN currency_code AS char(3) CHECK (VALUE ~ '^[A-Z]{3}$');

        CREATE TYPE payment_status AS ENUM ('captured', 'failed', 'refunded');
        CREATE TYPE method_kind AS ENUM ('card', 'bank_transfer', 'wallet');
        CREATE TYPE ledger_account AS ENUM ('customers', 'merchant');

        CREATE TABLE payment_methods (
            id           uuid PRIMARY KEY,
            customer_id  uuid NOT NULL,
            kind         method_kind NOT NULL,
            last_digits  char(4) CHECK (last_digits ~ '^[0-9]{4}$'),
            created_at   timestamptz NOT NULL DEFAULT now(),
            CHECK ((kind = 'card') = (last_digits IS NOT NULL))
        );
        CREATE INDEX payment_methods_of_customer ON payment_methods (customer_id);

        CREATE TABLE payments (
            id            uuid PRIMARY KEY,
            order_id      uuid NOT NULL,
            method_id     uuid NOT NULL REFERENCES payment_methods,
            amount_minor  bigint NOT NULL CHECK (amount_minor > 0),
            currency      currency_code NOT NULL,
            status        payment_status NOT NULL,
            created_at    timestamptz NOT NULL DEFAULT now()
        );
        CREATE UNIQUE INDEX payments_an_order_is_paid_once ON payments (order_id)
            WHERE status <> 'failed';
        CREATE INDEX payments_method_id ON payments (method_id);

        CREATE TABLE refunds (
            id            uuid PRIMARY KEY,
            payment_id    uuid NOT NULL UNIQUE REFERENCES payments,
            return_id     uuid NOT NULL UNIQUE,
            amount_minor  bigint NOT NULL CHECK (amount_minor > 0),
            created_at    timestamptz NOT NULL DEFAULT now()
        );

        CREATE TABLE ledger_entries (
            reference     uuid NOT NULL,
            account       ledger_account NOT NULL,
            amount_minor  bigint NOT NULL CHECK (amount_minor <> 0),
            booked_at     timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (reference, account)
        );
        COMMENT ON COLUMN ledger_entries.reference IS 'the payment or refund that is booked';
    """)
