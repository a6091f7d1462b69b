"""Creates that are made once, however often a client sends them.

OpenAI's client repeats a create whose reply it has not seen, without saying which one it repeats: only `x-stainless-retry-count`
tells that it does. So what a create made is remembered by the digest of its body for a while, and a repetition is answered with
it. A client that sends `Idempotency-Key` names its creates itself, and is taken at its word.

The memory is written in the transaction that makes the object: there is never one without the other.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from core.errors import InvalidRequest
from core.tables import CreationRow, ProjectRow

Json = dict[str, Any]

REMEMBERED_SECONDS = 86_400.0
"""How long an `Idempotency-Key` holds."""
RETRY_SECONDS = 600.0
"""How long a repetition without one may follow: OpenAI's client gives up long before."""
MAX_KEY = 255


@dataclass(frozen=True)
class Attempt:
    """One arrival of a create call at an operation such as `fine_tuning.jobs`."""

    token: str
    """What makes two arrivals the same call."""
    body_digest: str
    named: bool
    """The client itself said which call this is."""
    is_retry: bool
    arrived_at: float
    """By the database's clock."""

    @classmethod
    def of(
        cls, operation: str, body: Json, *, idempotency_key: str | None, retry_count: str | None, arrived_at: float
    ) -> Attempt:
        """From a request's body and headers; raises `InvalidRequest` for an idempotency key that is too long or empty."""
        content = json.dumps(body, sort_keys=True, separators=(",", ":")).encode()
        body_digest = hashlib.sha256(content).hexdigest()
        if idempotency_key is not None and not 0 < len(idempotency_key) <= MAX_KEY:
            message = f"The header Idempotency-Key must have 1 to {MAX_KEY} characters."
            raise InvalidRequest(message, param="Idempotency-Key", code="invalid_value")
        name = body_digest if idempotency_key is None else f"key:{idempotency_key}"
        return cls(
            token=hashlib.sha256(f"{operation}\n{name}".encode()).hexdigest(),
            body_digest=body_digest,
            named=idempotency_key is not None,
            is_retry=retry_count not in (None, "", "0"),
            arrived_at=arrived_at,
        )


def made_before(session: Session, project_id: str, attempt: Attempt, now: float) -> str | None:
    """The id of the object that this call has made already. Locks out other creates of the project till the transaction's end.

    Raises `InvalidRequest` for an idempotency key that came with another body.
    """
    session.execute(select(ProjectRow.project_id).where(ProjectRow.project_id == project_id).with_for_update())
    row = session.get(CreationRow, (project_id, attempt.token))
    if row is None or row.created_at < now - (REMEMBERED_SECONDS if attempt.named else RETRY_SECONDS):
        return None
    if row.body_digest != attempt.body_digest:
        message = "This Idempotency-Key was used for a request with another body."
        raise InvalidRequest(message, param="Idempotency-Key", code="idempotency_key_reused")
    overtaken = row.by_retry and row.created_at >= attempt.arrived_at
    return row.object_id if attempt.named or attempt.is_retry or overtaken else None


def remember(session: Session, project_id: str, attempt: Attempt, object_id: str, now: float) -> None:
    """Note what the call made, after `made_before` found nothing; what is too old to matter goes."""
    session.execute(
        delete(CreationRow).where(CreationRow.project_id == project_id, CreationRow.created_at < now - REMEMBERED_SECONDS)
    )
    session.merge(
        CreationRow(
            project_id=project_id,
            token=attempt.token,
            body_digest=attempt.body_digest,
            object_id=object_id,
            by_retry=attempt.is_retry,
            created_at=now,
        )
    )
