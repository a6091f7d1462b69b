"""Who owns things, the keys that open them, and the creates that are remembered lest they happen twice."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from core.tables.base import Base


class ProjectRow(Base):
    """The owner of everything else. A limit that is null is the service's default."""

    __tablename__ = "projects"
    project_id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    created_at: Mapped[float]
    archived_at: Mapped[float | None]
    requests_per_minute: Mapped[int | None]
    max_running_jobs: Mapped[int | None]
    max_waiting_jobs: Mapped[int | None]
    max_stored_bytes: Mapped[int | None]


class ServiceAccountRow(Base):
    """A named holder of keys within a project."""

    __tablename__ = "service_accounts"
    id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.project_id"))
    name: Mapped[str]
    role: Mapped[str]
    created_at: Mapped[float]
    __table_args__ = (Index("service_accounts_by_time", "project_id", "created_at", "id"),)


class ApiKeyRow(Base):
    """A bearer key, of which only the digest is kept."""

    __tablename__ = "api_keys"
    id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.project_id"))
    name: Mapped[str]
    digest: Mapped[str] = mapped_column(unique=True)
    hint: Mapped[str]
    created_at: Mapped[float]
    expires_at: Mapped[float | None]
    revoked_at: Mapped[float | None]
    scopes: Mapped[list[str] | None]
    """None or empty: everything its project may do."""
    last_used_at: Mapped[float | None]
    service_account_id: Mapped[str | None]
    """The holder; null for keys made on the command line."""


class AdminKeyRow(Base):
    """A key that manages projects, keys and limits. The one table besides `projects` that belongs to no project."""

    __tablename__ = "admin_keys"
    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    digest: Mapped[str] = mapped_column(unique=True)
    hint: Mapped[str]
    created_at: Mapped[float]
    expires_at: Mapped[float | None]
    last_used_at: Mapped[float | None]


class CreationRow(Base):
    """What a create call made, for as long as the same call may come again."""

    __tablename__ = "creations"
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.project_id"), primary_key=True)
    token: Mapped[str] = mapped_column(primary_key=True)
    body_digest: Mapped[str]
    object_id: Mapped[str]
    by_retry: Mapped[bool]
    created_at: Mapped[float]
    __table_args__ = (Index("creations_by_time", "created_at"),)
