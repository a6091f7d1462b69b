"""Uploads: files that come in parts."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index, Text
from sqlalchemy.orm import Mapped, mapped_column

from core.tables.base import Base


class UploadRow(Base):
    """A file that is to come in parts; `bytes` is what the client announced."""

    __tablename__ = "uploads"
    id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.project_id"))
    filename: Mapped[str] = mapped_column(Text)
    purpose: Mapped[str]
    bytes: Mapped[int]
    mime_type: Mapped[str]
    file_expires_after: Mapped[int | None]
    """Seconds that the file made of it lives."""
    status: Mapped[str]
    created_at: Mapped[float]
    expires_at: Mapped[float]
    parts: Mapped[int] = mapped_column(default=0)
    """Parts received, and their bytes: more than `bytes` where a client sent some again."""
    part_bytes: Mapped[int] = mapped_column(default=0)
    file_id: Mapped[str | None]
    completed_with: Mapped[str | None]
    """A digest of the request that completed it, by which the same request is known when it comes again."""
    __table_args__ = (Index("uploads_by_expiry", "expires_at"), Index("uploads_by_project", "project_id", "created_at"))


class UploadPartRow(Base):
    """One part; its bytes are the object `object_key` until the upload has ended."""

    __tablename__ = "upload_parts"
    id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str]
    upload_id: Mapped[str] = mapped_column(ForeignKey("uploads.id"))
    bytes: Mapped[int]
    object_key: Mapped[str]
    created_at: Mapped[float]
    __table_args__ = (Index("upload_parts_by_upload", "upload_id"),)
