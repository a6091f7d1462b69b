"""What projects have used."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from core.tables.base import Base


class UsageRow(Base):
    """How much of one kind a project has used of one model within one hour (`core.usage`)."""

    __tablename__ = "usage_hours"
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.project_id"), primary_key=True)
    hour: Mapped[int] = mapped_column(primary_key=True)
    """The hour's first second, unix time."""
    model: Mapped[str] = mapped_column(primary_key=True)
    """A base model, or for tokens of judges the judge."""
    kind: Mapped[str] = mapped_column(primary_key=True)
    amount: Mapped[float]
    __table_args__ = (Index("usage_hours_by_time", "hour"),)
