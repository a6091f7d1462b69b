"""Wire shapes of checkpoint permissions."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field, StringConstraints

from core.jobs.permissions import Permission

Json = dict[str, Any]

MAX_PROJECTS = 100


class GrantPermissions(BaseModel):
    """The projects that may sample from the checkpoint."""

    project_ids: Annotated[
        list[Annotated[str, StringConstraints(min_length=1, max_length=255)]], Field(min_length=1, max_length=MAX_PROJECTS)
    ]


def permission_object(permission: Permission) -> Json:
    """A permission as clients see it."""
    return {
        "id": permission.id,
        "object": "checkpoint.permission",
        "created_at": int(permission.created_at),
        "project_id": permission.granted_to,
    }
