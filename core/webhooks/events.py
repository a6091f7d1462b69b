"""Events: which there are, and what is sent of one."""

from __future__ import annotations

import json
from typing import Literal, get_args

from core.ids import new_id

EventType = Literal[
    "batch.completed",
    "batch.failed",
    "batch.expired",
    "batch.cancelled",
    "response.completed",
    "response.failed",
    "response.cancelled",
    "response.incomplete",
    "eval.run.succeeded",
    "eval.run.failed",
    "eval.run.canceled",
    "fine_tuning.job.succeeded",
    "fine_tuning.job.failed",
    "fine_tuning.job.cancelled",
    "realtime.call.incoming",
    "video.completed",
    "video.failed",
    "agent.environment.ready",
    "agent.environment.failed",
    "agent.environment.suspended",
    "agent.environment.expired",
    "agent.session.created",
    "agent.session.action_required",
    "agent.session.in_progress",
    "agent.session.idle",
    "agent.session.failed",
    "safety.alert.created",
]
"""OpenAI's. Of these only `fine_tuning.job.*` happen here; the others can be subscribed to and never fire."""

EVENT_TYPES: tuple[str, ...] = get_args(EventType)


def event_body(event_type: str, object_id: str, created_at: float) -> str:
    """The JSON text of a new event about the object of this id."""
    return json.dumps(
        {
            "id": new_id("evt_"),
            "object": "event",
            "created_at": int(created_at),
            "type": event_type,
            "data": {"id": object_id},
        }
    )
