"""What replies about checkpoint permissions hold, for the OpenAPI document."""

from __future__ import annotations

from typing import Literal

from api.objects import Reply


class PermissionObject(Reply):
    """A permission, as `permission_object` builds it."""

    id: str
    object: Literal["checkpoint.permission"]
    created_at: int
    project_id: str
