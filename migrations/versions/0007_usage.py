"""What projects use by the hour, and the trace that a job belongs to."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

NAME = sa.String(255)


def upgrade() -> None:
    """Create the table of usage, and a column that may stay empty."""
    op.create_table(
        "usage_hours",
        sa.Column("project_id", NAME, sa.ForeignKey("projects.project_id"), primary_key=True),
        sa.Column("hour", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("model", NAME, primary_key=True),
        sa.Column("kind", NAME, primary_key=True),
        sa.Column("amount", sa.Float(53), nullable=False),
    )
    op.create_index("usage_hours_by_time", "usage_hours", ["hour"])
    op.add_column("jobs", sa.Column("traceparent", NAME))


def downgrade() -> None:
    """Drop both."""
    with op.batch_alter_table("jobs") as jobs:
        jobs.drop_column("traceparent")
    op.drop_table("usage_hours")
