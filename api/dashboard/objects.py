"""What replies about sessions hold, for the OpenAPI document."""

from __future__ import annotations

from typing import Literal

from api.objects import Reply


class SessionObject(Reply):
    """Whom a browser is signed in as, as `session_object` builds it."""

    object: Literal["dashboard.session"]
    project_id: str
    scopes: list[str]
