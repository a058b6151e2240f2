"""Accounts, their sessions, and every attempt to log in."""

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.execute("""
        CREATE DOMAIN email_address AS text
            CHECK (VALUE = lower(VALUE)
                   AND VALUE ~ '^[^@[:space:]]+@[^@[:space:]]+[.][^@[:space:]]+$');

        CREATE TYPE account_status AS ENUM ('active', 'locked', 'closed');

        CREATE TABLE accounts (
            id             uuid PRIMARY KEY DEFAULT gen_random_uuid(),
            email          email_address NOT NULL UNIQUE,
            password_hash  text NOT NULL CHECK (password_hash LIKE '$argon2id$%'),
            status         account_status NOT NULL DEFAULT 'active',
            created_at     timestamptz NOT NULL DEFAULT now(),
            last_login_at  timestamptz
        );

        CREATE TABLE sessions (
            id          uuid PRIMARY KEY,
            account_id  uuid NOT NULL REFERENCES accounts ON DELETE CASCADE,
            token_hash  bytea NOT NULL UNIQUE CHECK (octet_length(token_hash) = 32),
            created_at  timestamptz NOT NULL DEFAULT now(),
            expires_at  timestamptz NOT NULL,
            revoked_at  timestamptz,
            CHECK (expires_at > created_at)
        );
        CREATE INDEX sessions_account_id ON sessions (account_id);
        CREATE INDEX sessions_live_until ON sessions (expires_at) WHERE revoked_at IS NULL;

        CREATE TABLE login_attempts (
            id          uuid PRIMARY KEY,
            account_id  uuid NOT NULL REFERENCES accounts ON DELETE CASCADE,
            succeeded   boolean NOT NULL,
            at          timestamptz NOT NULL DEFAULT now()
        );
        CREATE INDEX login_attempts_recent ON login_attempts (account_id, at DESC);
    """)
