"""Wire shape of models."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]


def model_object(name: str, created: int, owned_by: str) -> Json:
    """A model as clients see it."""
    return {"id": name, "object": "model", "created": created, "owned_by": owned_by, "shutdown_date": None}
