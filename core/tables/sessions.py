"""Sign-ins to the dashboard."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from core.tables.base import Base


class SessionRow(Base):
    """A browser that is signed in with a key, or a link that lets one sign in. Only the digest of its secret is kept."""

    __tablename__ = "dashboard_sessions"
    digest: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.project_id"))
    key_id: Mapped[str] = mapped_column(ForeignKey("api_keys.id"))
    kind: Mapped[str]
    """`session`, or `link`: a secret that opens one session and is used up by it."""
    created_at: Mapped[float]
    expires_at: Mapped[float]
    __table_args__ = (Index("dashboard_sessions_by_end", "expires_at"),)
