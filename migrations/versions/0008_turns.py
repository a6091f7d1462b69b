"""The order of the queue: a job's priority, and an index by project."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add a column with a default, which code of the version before leaves out, and the index."""
    op.add_column("jobs", sa.Column("niceness", sa.BigInteger(), nullable=False, server_default="0"))
    op.create_index("jobs_by_turn", "jobs", ["status", "project_id", "niceness", "created_at", "id"])


def downgrade() -> None:
    """Drop both."""
    op.drop_index("jobs_by_turn", "jobs")
    with op.batch_alter_table("jobs") as jobs:
        jobs.drop_column("niceness")
