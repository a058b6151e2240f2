"""Templates, and a queue of what customers are to be told."""

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.execute("""
        CREATE TYPE channel AS ENUM ('email', 'push');
        CREATE TYPE notification_status AS ENUM ('queued', 'sent', 'failed');

        CREATE TABLE templates (
            code     text PRIMARY KEY CHECK (code ~ '^[a-z]+(_[a-z]+)*$'),
            channel  channel NOT NULL,
            subject  text NOT NULL,
            body     text NOT NULL
        );

        CREATE TABLE notifications (
            id             uuid PRIMARY KEY,
            customer_id    uuid NOT NULL,
            template_code  text NOT NULL REFERENCES templates,
            payload        jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(payload) = 'object'),
            status         notification_status NOT NULL DEFAULT 'queued',
            queued_at      timestamptz NOT NULL DEFAULT now(),
            sent_at        timestamptz,
            CHECK ((status = 'sent') = (sent_at IS NOT NULL))
        );
        CREATE INDEX notifications_queue ON notifications (queued_at) WHERE status = 'queued';
        CREATE INDEX notifications_of_customer ON notifications (customer_id, queued_at DESC);
    """)
