"""What an upload is: a file that comes in parts."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from core.files import File
from core.tables import UploadRow


class UploadStatus(StrEnum):
    """OpenAI's words."""

    PENDING = "pending"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


@dataclass(frozen=True)
class NewUpload:
    """What a client announces. `file_expires_after` are the seconds that the file lives once it is made."""

    filename: str
    purpose: str
    bytes: int
    mime_type: str
    file_expires_after: int | None = None


@dataclass(frozen=True)
class Upload:
    """A file that comes in parts; `file` is the one made of it. Times are unix seconds."""

    id: str
    filename: str
    purpose: str
    bytes: int
    status: UploadStatus
    created_at: float
    expires_at: float
    file: File | None


@dataclass(frozen=True)
class UploadPart:
    """A received part."""

    id: str
    upload_id: str
    created_at: float


def upload_of(row: UploadRow, now: float, file: File | None = None) -> Upload:
    """What a row tells at the time `now`."""
    return Upload(
        id=row.id,
        filename=row.filename,
        purpose=row.purpose,
        bytes=row.bytes,
        status=status_of(row, now),
        created_at=row.created_at,
        expires_at=row.expires_at,
        file=file,
    )


def status_of(row: UploadRow, now: float) -> UploadStatus:
    """An upload expires at its time, whenever the sweep comes."""
    status = UploadStatus(row.status)
    return UploadStatus.EXPIRED if status == UploadStatus.PENDING and row.expires_at <= now else status
