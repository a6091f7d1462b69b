"""Limits of projects, scopes and holders of keys, admin keys, creates that are remembered."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

NAME = sa.String(255)
SECONDS = sa.Float(53)
LIMITS = ("requests_per_minute", "max_running_jobs", "max_waiting_jobs", "max_stored_bytes")


def upgrade() -> None:
    """New columns of projects and keys, new tables."""
    op.add_column("projects", sa.Column("archived_at", SECONDS))
    for name in LIMITS:
        op.add_column("projects", sa.Column(name, sa.BigInteger))
    op.add_column("api_keys", sa.Column("scopes", sa.JSON))
    op.add_column("api_keys", sa.Column("last_used_at", SECONDS))
    op.add_column("api_keys", sa.Column("service_account_id", NAME))
    _service_accounts()
    _admin_keys()
    _creations()


def downgrade() -> None:
    """Drop them again."""
    for table in ("creations", "admin_keys", "service_accounts"):
        op.drop_table(table)
    for name in ("scopes", "last_used_at", "service_account_id"):
        op.drop_column("api_keys", name)
    for name in ("archived_at", *LIMITS):
        op.drop_column("projects", name)


def _service_accounts() -> None:
    op.create_table(
        "service_accounts",
        sa.Column("id", NAME, primary_key=True),
        sa.Column("project_id", NAME, sa.ForeignKey("projects.project_id"), nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("role", NAME, nullable=False),
        sa.Column("created_at", SECONDS, nullable=False),
    )
    op.create_index("service_accounts_by_time", "service_accounts", ["project_id", "created_at", "id"])


def _admin_keys() -> None:
    op.create_table(
        "admin_keys",
        sa.Column("id", NAME, primary_key=True),
        sa.Column("name", NAME, nullable=False),
        sa.Column("digest", NAME, nullable=False, unique=True),
        sa.Column("hint", NAME, nullable=False),
        sa.Column("created_at", SECONDS, nullable=False),
        sa.Column("expires_at", SECONDS),
        sa.Column("last_used_at", SECONDS),
    )


def _creations() -> None:
    op.create_table(
        "creations",
        sa.Column("project_id", NAME, sa.ForeignKey("projects.project_id"), primary_key=True),
        sa.Column("token", NAME, primary_key=True),
        sa.Column("body_digest", NAME, nullable=False),
        sa.Column("object_id", NAME, nullable=False),
        sa.Column("by_retry", sa.Boolean, nullable=False),
        sa.Column("created_at", SECONDS, nullable=False),
    )
    op.create_index("creations_by_time", "creations", ["created_at"])
