"""Files."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index, Text
from sqlalchemy.orm import Mapped, mapped_column

from core.tables.base import Base


class FileRow(Base):
    """An uploaded or produced file; its bytes are the object `object_key`."""

    __tablename__ = "files"
    id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.project_id"))
    filename: Mapped[str] = mapped_column(Text)
    purpose: Mapped[str]
    bytes: Mapped[int]
    sha256: Mapped[str]
    object_key: Mapped[str]
    created_at: Mapped[float]
    expires_at: Mapped[float | None]
    __table_args__ = (
        Index("files_by_time", "project_id", "created_at", "id"),
        Index("files_by_expiry", "expires_at"),
    )
