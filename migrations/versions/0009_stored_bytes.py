"""How many bytes rollouts, training states and checkpoints take."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

TABLES = ("job_batches", "job_states", "checkpoints")


def upgrade() -> None:
    """Add a column that may stay empty to each of the three tables, and an index to add it up."""
    for table in TABLES:
        op.add_column(table, sa.Column("bytes", sa.BigInteger()))
        op.create_index(f"{table}_by_project", table, ["project_id", "bytes"])


def downgrade() -> None:
    """Drop them."""
    for table in TABLES:
        op.drop_index(f"{table}_by_project", table)
        with op.batch_alter_table(table) as changed:
            changed.drop_column("bytes")
