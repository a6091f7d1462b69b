"""The list of jobs by metadata, evals of jobs, jobs that go on from a checkpoint, checkpoint permissions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from core.jobs.metadata import digests

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

NAME = sa.String(255)
SECONDS = sa.Float(53)


def upgrade() -> None:
    """Add columns and tables, and file the metadata of the jobs that exist."""
    _jobs()
    _job_metadata()
    _file_metadata()
    _checkpoint_permissions()


def downgrade() -> None:
    """Take them away again."""
    op.drop_table("checkpoint_permissions")
    op.drop_table("job_metadata")
    for index in ("jobs_by_initial_checkpoint", "jobs_by_start", "jobs_by_eval", "jobs_by_status"):
        op.drop_index(index, "jobs")
    op.create_index("jobs_by_status", "jobs", ["status", "created_at"])
    for column in ("initial_checkpoint_id", "eval_id"):
        op.drop_column("jobs", column)


def _jobs() -> None:
    op.add_column("jobs", sa.Column("eval_id", NAME))
    op.add_column("jobs", sa.Column("initial_checkpoint_id", NAME))
    op.drop_index("jobs_by_status", "jobs")
    op.create_index("jobs_by_status", "jobs", ["status", "created_at", "id"])
    op.create_index("jobs_by_eval", "jobs", ["eval_id"], unique=True)
    op.create_index("jobs_by_start", "jobs", ["project_id", "started_at", "id"])
    op.create_index("jobs_by_initial_checkpoint", "jobs", ["initial_checkpoint_id"])


def _job_metadata() -> None:
    op.create_table(
        "job_metadata",
        sa.Column("project_id", NAME, primary_key=True),
        sa.Column("pair", NAME, primary_key=True),
        sa.Column("created_at", SECONDS, primary_key=True),
        sa.Column("job_id", NAME, sa.ForeignKey("jobs.id"), primary_key=True),
    )


def _file_metadata() -> None:
    jobs = sa.table("jobs", sa.column("id"), sa.column("project_id"), sa.column("created_at"), sa.column("request", sa.JSON))
    filed = sa.table("job_metadata", *(sa.column(name) for name in ("project_id", "pair", "created_at", "job_id")))
    connection = op.get_bind()
    for job in connection.execute(sa.select(jobs)).all():
        for pair in digests(job.request.get("metadata")):
            row = {"project_id": job.project_id, "pair": pair, "created_at": job.created_at, "job_id": job.id}
            connection.execute(filed.insert().values(row))


def _checkpoint_permissions() -> None:
    op.create_table(
        "checkpoint_permissions",
        sa.Column("id", NAME, primary_key=True),
        sa.Column("project_id", NAME, nullable=False),
        sa.Column("checkpoint_id", NAME, sa.ForeignKey("checkpoints.id", ondelete="CASCADE"), nullable=False),
        sa.Column("granted_to", NAME, sa.ForeignKey("projects.project_id"), nullable=False),
        sa.Column("created_at", SECONDS, nullable=False),
    )
    op.create_index("checkpoint_permissions_by_project", "checkpoint_permissions", ["checkpoint_id", "granted_to"], unique=True)
    op.create_index("checkpoint_permissions_by_time", "checkpoint_permissions", ["checkpoint_id", "created_at", "id"])
