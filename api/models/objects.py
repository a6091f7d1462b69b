"""What replies about models hold, for the OpenAPI document."""

from __future__ import annotations

from typing import Literal

from api.objects import Reply


class ModelObject(Reply):
    """A model, as `model_object` builds it."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    shutdown_date: None
