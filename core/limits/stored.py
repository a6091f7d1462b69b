"""How many bytes a project stores, and of what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from core.tables import BatchRow, CheckpointRow, FileRow, StateRow, UploadRow


def stored_bytes(session: Session, project_id: str) -> Mapping[str, int]:
    """The bytes of each kind of object, by the kind's name in plain words; open uploads count as announced."""
    return {kind: int(session.scalar(query) or 0) for kind, query in _sums(project_id).items()}


def _sums(project_id: str) -> Mapping[str, Select[Any]]:
    return {
        "files": select(func.sum(FileRow.bytes)).where(FileRow.project_id == project_id),
        "open uploads": select(func.sum(UploadRow.bytes)).where(
            UploadRow.project_id == project_id, UploadRow.status == "pending"
        ),
        "rollouts": select(func.sum(BatchRow.bytes)).where(BatchRow.project_id == project_id),
        "training states": select(func.sum(StateRow.bytes)).where(StateRow.project_id == project_id),
        "checkpoints": select(func.sum(CheckpointRow.bytes)).where(CheckpointRow.project_id == project_id),
    }
