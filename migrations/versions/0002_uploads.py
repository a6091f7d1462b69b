"""Uploads and their parts; files by the time they expire."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

NAME = sa.String(255)
SECONDS = sa.Float(53)


def upgrade() -> None:
    """Create the tables and indexes."""
    op.create_table(
        "uploads",
        sa.Column("id", NAME, primary_key=True),
        sa.Column("project_id", NAME, sa.ForeignKey("projects.project_id"), nullable=False),
        sa.Column("filename", sa.Text, nullable=False),
        sa.Column("purpose", NAME, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("mime_type", NAME, nullable=False),
        sa.Column("file_expires_after", sa.BigInteger),
        sa.Column("status", NAME, nullable=False),
        sa.Column("created_at", SECONDS, nullable=False),
        sa.Column("expires_at", SECONDS, nullable=False),
        sa.Column("parts", sa.BigInteger, nullable=False),
        sa.Column("part_bytes", sa.BigInteger, nullable=False),
        sa.Column("file_id", NAME),
        sa.Column("completed_with", NAME),
    )
    op.create_index("uploads_by_expiry", "uploads", ["expires_at"])
    op.create_index("uploads_by_project", "uploads", ["project_id", "created_at"])
    op.create_table(
        "upload_parts",
        sa.Column("id", NAME, primary_key=True),
        sa.Column("project_id", NAME, nullable=False),
        sa.Column("upload_id", NAME, sa.ForeignKey("uploads.id"), nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("object_key", NAME, nullable=False),
        sa.Column("created_at", SECONDS, nullable=False),
    )
    op.create_index("upload_parts_by_upload", "upload_parts", ["upload_id"])
    op.create_index("files_by_expiry", "files", ["expires_at"])


def downgrade() -> None:
    """Drop them."""
    op.drop_index("files_by_expiry", "files")
    op.drop_table("upload_parts")
    op.drop_table("uploads")
