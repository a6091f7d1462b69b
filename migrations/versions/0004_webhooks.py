"""Webhook endpoints and their deliveries; what is not yet sent of the outbox is found by an index."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

NAME = sa.String(255)
SECONDS = sa.Float(53)


def upgrade() -> None:
    """Create both tables and the outbox's index."""
    op.create_index("outbox_by_sent", "outbox", ["sent_at", "id"])
    op.create_table(
        "webhook_endpoints",
        sa.Column("id", NAME, primary_key=True),
        sa.Column("project_id", NAME, sa.ForeignKey("projects.project_id"), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("event_types", sa.JSON, nullable=False),
        sa.Column("secret", sa.Text, nullable=False),
        sa.Column("secret_hint", NAME, nullable=False),
        sa.Column("previous_secret", sa.Text),
        sa.Column("previous_expires_at", SECONDS),
        sa.Column("created_at", SECONDS, nullable=False),
        sa.Column("updated_at", SECONDS, nullable=False),
    )
    op.create_index("webhook_endpoints_by_time", "webhook_endpoints", ["project_id", "created_at", "id"])
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", NAME, primary_key=True),
        sa.Column("project_id", NAME, nullable=False),
        sa.Column("endpoint_id", NAME, sa.ForeignKey("webhook_endpoints.id"), nullable=False),
        sa.Column("event_type", NAME, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("status", NAME, nullable=False),
        sa.Column("created_at", SECONDS, nullable=False),
        sa.Column("due_at", SECONDS, nullable=False),
        sa.Column("claimed_until", SECONDS),
        sa.Column("attempts", sa.BigInteger, nullable=False),
        sa.Column("attempted_at", SECONDS),
        sa.Column("status_code", sa.BigInteger),
        sa.Column("error", NAME),
    )
    op.create_index("webhook_deliveries_by_time", "webhook_deliveries", ["endpoint_id", "created_at", "id"])
    op.create_index("webhook_deliveries_due", "webhook_deliveries", ["status", "due_at"])


def downgrade() -> None:
    """Drop both tables and the index."""
    op.drop_table("webhook_deliveries")
    op.drop_table("webhook_endpoints")
    op.drop_index("outbox_by_sent", "outbox")
