"""The tables, as SQLAlchemy 2 models."""

from __future__ import annotations

from core.tables.access import AdminKeyRow, ApiKeyRow, CreationRow, ProjectRow, ServiceAccountRow
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
from core.tables.sessions import SessionRow
from core.tables.uploads import UploadPartRow, UploadRow
from core.tables.usage import UsageRow
from core.tables.webhooks import WebhookDeliveryRow, WebhookEndpointRow

__all__ = [
    "AdminKeyRow",
    "ApiKeyRow",
    "Base",
    "BatchRow",
    "CheckpointPermissionRow",
    "CheckpointRow",
    "CreationRow",
    "EventRow",
    "FileRow",
    "JobMetadataRow",
    "JobRow",
    "Json",
    "OutboxRow",
    "ProjectRow",
    "ServiceAccountRow",
    "SessionRow",
    "StateRow",
    "StepRow",
    "TunedModelRow",
    "UploadPartRow",
    "UploadRow",
    "UsageRow",
    "WebhookDeliveryRow",
    "WebhookEndpointRow",
]
