"""Messages owed to others."""

from __future__ import annotations

from sqlalchemy import BigInteger, Index, Integer
from sqlalchemy.orm import Mapped, mapped_column

from core.tables.base import Base, Json


class OutboxRow(Base):
    """A message owed to somebody else, written with the change that owes it and relayed at least once."""

    __tablename__ = "outbox"
    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True)
    project_id: Mapped[str]
    topic: Mapped[str]
    payload: Mapped[Json]
    created_at: Mapped[float]
    sent_at: Mapped[float | None]
    __table_args__ = (Index("outbox_by_sent", "sent_at", "id"),)
