"""Values of webhooks. Times are unix seconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

DeliveryStatus = Literal["pending", "succeeded", "failed"]


@dataclass(frozen=True)
class NewEndpoint:
    """What a client says of an endpoint."""

    name: str
    url: str
    event_types: tuple[str, ...]


@dataclass(frozen=True)
class Endpoint:
    """A URL that wants to hear of events."""

    id: str
    project_id: str
    name: str
    url: str
    event_types: tuple[str, ...]
    secret_hint: str
    created_at: float
    updated_at: float


@dataclass(frozen=True)
class Delivery:
    """One event on its way to one endpoint, as a client may see it."""

    id: str
    endpoint_id: str
    event_type: str
    body: str
    status: DeliveryStatus
    created_at: float
    attempts: int
    next_attempt_at: float | None
    attempted_at: float | None
    status_code: int | None
    error: str | None


@dataclass(frozen=True)
class Attempt:
    """A delivery that this process has taken, with all that is needed to send it."""

    delivery_id: str
    number: int
    url: str
    body: str
    sealed_secrets: tuple[str, ...]
    """The endpoint's secret, and the one before it while that is still active."""
    timestamp: int


@dataclass(frozen=True)
class Outcome:
    """What came of an attempt: the endpoint's status, or why there is none. Only a 2xx is a success."""

    status_code: int | None
    error: str | None
    retry_after: float | None = None
    """Seconds that the endpoint asks to be left alone."""

    @property
    def delivered(self) -> bool:
        """Whether the endpoint has taken the event."""
        return self.status_code is not None and 200 <= self.status_code < 300
