"""Mails of the auth service speak the account's language.

A column with a constant default needs no rewrite of the table, and code that does not know
the column yet goes on working.
"""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.execute("""
        ALTER TABLE accounts
            ADD COLUMN locale text NOT NULL DEFAULT 'en'
            CONSTRAINT accounts_locale_is_a_tag CHECK (locale ~ '^[a-z]{2}(-[A-Z]{2})?$');
    """)
