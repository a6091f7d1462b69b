"""Create calls that may come twice: what their headers tell of it."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Header

from api.auth import ContextDep
from api.context import Context
from core.creations import Attempt, Json


class Attempts:
    """Which create call this request is; `core.creations` tells how that is used."""

    def __init__(self, context: Context, idempotency_key: str | None, retry_count: str | None) -> None:
        self._idempotency_key = idempotency_key
        self._retry_count = retry_count
        with context.database.read() as session:
            self._arrived_at = context.database.time(session)

    def at(self, operation: str, body: Json) -> Attempt:
        """As an arrival of this body at an operation; raises `InvalidRequest`."""
        return Attempt.of(
            operation,
            body,
            idempotency_key=self._idempotency_key,
            retry_count=self._retry_count,
            arrived_at=self._arrived_at,
        )


def attempts(
    context: ContextDep,
    idempotency_key: Annotated[str | None, Header()] = None,
    x_stainless_retry_count: Annotated[str | None, Header()] = None,
) -> Attempts:
    """Made when the request arrives, before its body is looked at."""
    return Attempts(context, idempotency_key, x_stainless_retry_count)


AttemptsDep = Annotated[Attempts, Depends(attempts)]
