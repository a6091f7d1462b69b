"""Sign-ins to the dashboard."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

NAME = sa.String(255)
SECONDS = sa.Float(53)


def upgrade() -> None:
    """Create the table of sessions."""
    op.create_table(
        "dashboard_sessions",
        sa.Column("digest", NAME, primary_key=True),
        sa.Column("project_id", NAME, sa.ForeignKey("projects.project_id"), nullable=False),
        sa.Column("key_id", NAME, sa.ForeignKey("api_keys.id"), nullable=False),
        sa.Column("kind", NAME, nullable=False),
        sa.Column("created_at", SECONDS, nullable=False),
        sa.Column("expires_at", SECONDS, nullable=False),
    )
    op.create_index("dashboard_sessions_by_end", "dashboard_sessions", ["expires_at"])


def downgrade() -> None:
    """Drop it."""
    op.drop_table("dashboard_sessions")
