"""Projects, keys, files, jobs with their history, checkpoints, tuned models, outbox."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

NAME = sa.String(255)
SECONDS = sa.Float(53)


def upgrade() -> None:
    """Create all tables, owners before what they own."""
    _projects()
    _api_keys()
    _files()
    _jobs()
    _job_events()
    _job_steps()
    _job_batches()
    _job_states()
    _checkpoints()
    _tuned_models()
    _outbox()


def downgrade() -> None:
    """Drop all tables, what is owned before its owners."""
    for table in (
        "outbox",
        "tuned_models",
        "checkpoints",
        "job_states",
        "job_batches",
        "job_steps",
        "job_events",
        "jobs",
        "files",
        "api_keys",
        "projects",
    ):
        op.drop_table(table)


def _projects() -> None:
    op.create_table(
        "projects",
        sa.Column("project_id", NAME, primary_key=True),
        sa.Column("name", NAME, nullable=False),
        sa.Column("created_at", SECONDS, nullable=False),
    )


def _api_keys() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", NAME, primary_key=True),
        sa.Column("project_id", NAME, sa.ForeignKey("projects.project_id"), nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("digest", NAME, nullable=False, unique=True),
        sa.Column("hint", NAME, nullable=False),
        sa.Column("created_at", SECONDS, nullable=False),
        sa.Column("expires_at", SECONDS),
        sa.Column("revoked_at", SECONDS),
    )


def _files() -> None:
    op.create_table(
        "files",
        sa.Column("id", NAME, primary_key=True),
        sa.Column("project_id", NAME, sa.ForeignKey("projects.project_id"), nullable=False),
        sa.Column("filename", sa.Text, nullable=False),
        sa.Column("purpose", NAME, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("sha256", NAME, nullable=False),
        sa.Column("object_key", NAME, nullable=False),
        sa.Column("created_at", SECONDS, nullable=False),
        sa.Column("expires_at", SECONDS),
    )
    op.create_index("files_by_time", "files", ["project_id", "created_at", "id"])


def _jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", NAME, primary_key=True),
        sa.Column("project_id", NAME, sa.ForeignKey("projects.project_id"), nullable=False),
        sa.Column("created_at", SECONDS, nullable=False),
        sa.Column("status", NAME, nullable=False),
        sa.Column("request", sa.JSON, nullable=False),
        sa.Column("base_model", NAME, nullable=False),
        sa.Column("seed", sa.BigInteger, nullable=False),
        sa.Column("plan", sa.JSON),
        sa.Column("step", sa.BigInteger, nullable=False),
        sa.Column("trained_tokens", sa.BigInteger, nullable=False),
        sa.Column("train_seconds", SECONDS, nullable=False),
        sa.Column("usage", sa.JSON, nullable=False),
        sa.Column("fine_tuned_model", NAME),
        sa.Column("result_files", sa.JSON, nullable=False),
        sa.Column("error", sa.JSON),
        sa.Column("started_at", SECONDS),
        sa.Column("finished_at", SECONDS),
        sa.Column("estimated_finish", SECONDS),
        sa.Column("lease_epoch", sa.BigInteger, nullable=False),
        sa.Column("lease_owner", NAME),
        sa.Column("lease_expires_at", SECONDS),
        sa.Column("attempts", sa.BigInteger, nullable=False),
        sa.Column("not_before", SECONDS, nullable=False),
        sa.Column("next_seq", sa.BigInteger, nullable=False),
    )
    op.create_index("jobs_by_time", "jobs", ["project_id", "created_at", "id"])
    op.create_index("jobs_by_status", "jobs", ["status", "created_at"])


def _job_events() -> None:
    op.create_table(
        "job_events",
        sa.Column("job_id", NAME, sa.ForeignKey("jobs.id"), primary_key=True),
        sa.Column("seq", sa.BigInteger, primary_key=True),
        sa.Column("id", NAME, nullable=False, unique=True),
        sa.Column("project_id", NAME, nullable=False),
        sa.Column("created_at", SECONDS, nullable=False),
        sa.Column("level", NAME, nullable=False),
        sa.Column("type", NAME, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("data", sa.JSON),
    )


def _job_steps() -> None:
    op.create_table(
        "job_steps",
        sa.Column("job_id", NAME, sa.ForeignKey("jobs.id"), primary_key=True),
        sa.Column("step", sa.Integer, primary_key=True),
        sa.Column("project_id", NAME, nullable=False),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("created_at", SECONDS, nullable=False),
        sa.Column("metrics", sa.JSON, nullable=False),
    )


def _job_batches() -> None:
    op.create_table(
        "job_batches",
        sa.Column("job_id", NAME, sa.ForeignKey("jobs.id"), primary_key=True),
        sa.Column("split", NAME, primary_key=True),
        sa.Column("step", sa.Integer, primary_key=True),
        sa.Column("index", sa.Integer, primary_key=True),
        sa.Column("project_id", NAME, nullable=False),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("created_at", SECONDS, nullable=False),
        sa.Column("object_key", NAME, nullable=False),
        sa.Column("sha256", NAME, nullable=False),
        sa.Column("samples", sa.BigInteger, nullable=False),
    )


def _job_states() -> None:
    op.create_table(
        "job_states",
        sa.Column("job_id", NAME, sa.ForeignKey("jobs.id"), primary_key=True),
        sa.Column("step", sa.Integer, primary_key=True),
        sa.Column("project_id", NAME, nullable=False),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("created_at", SECONDS, nullable=False),
        sa.Column("manifest_key", NAME, nullable=False),
    )


def _checkpoints() -> None:
    op.create_table(
        "checkpoints",
        sa.Column("id", NAME, primary_key=True),
        sa.Column("project_id", NAME, nullable=False),
        sa.Column("job_id", NAME, sa.ForeignKey("jobs.id"), nullable=False),
        sa.Column("step", sa.Integer, nullable=False),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("created_at", SECONDS, nullable=False),
        sa.Column("model_name", NAME, nullable=False, unique=True),
        sa.Column("manifest_key", NAME, nullable=False),
        sa.Column("metrics", sa.JSON, nullable=False),
        sa.Column("valid_reward", SECONDS),
    )
    op.create_index("checkpoints_by_job", "checkpoints", ["job_id", "step"], unique=True)


def _tuned_models() -> None:
    op.create_table(
        "tuned_models",
        sa.Column("name", NAME, primary_key=True),
        sa.Column("project_id", NAME, nullable=False),
        sa.Column("job_id", NAME, sa.ForeignKey("jobs.id"), nullable=False),
        sa.Column("checkpoint_id", NAME, sa.ForeignKey("checkpoints.id"), nullable=False),
        sa.Column("created_at", SECONDS, nullable=False),
    )


def _outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("project_id", NAME, nullable=False),
        sa.Column("topic", NAME, nullable=False),
        sa.Column("payload", sa.JSON, nullable=False),
        sa.Column("created_at", SECONDS, nullable=False),
        sa.Column("sent_at", SECONDS),
    )
