"""The tables, as SQLAlchemy 2 models."""

from __future__ import annotations

from core.tables.access import ApiKeyRow, ProjectRow
from core.tables.base import Base, Json
from core.tables.files import FileRow
from core.tables.jobs import (
    BatchRow,
    CheckpointPermissionRow,
    CheckpointRow,
    EventRow,
    JobMetadataRow,
    JobRow,
    StateRow,
    StepRow,
    TunedModelRow,
)
from core.tables.outbox import OutboxRow

__all__ = [
    "ApiKeyRow",
    "Base",
    "BatchRow",
    "CheckpointPermissionRow",
    "CheckpointRow",
    "EventRow",
    "FileRow",
    "JobMetadataRow",
    "JobRow",
    "Json",
    "OutboxRow",
    "ProjectRow",
    "StateRow",
    "StepRow",
    "TunedModelRow",
]
