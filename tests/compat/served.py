"""The service's OpenAPI document, without a service."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from api.app import create_app
from core.schema import migrate
from core.settings import Settings


@cache
def openapi_document() -> dict[str, Any]:
    """What `GET /openapi.json` answers."""
    with tempfile.TemporaryDirectory() as directory:
        settings = Settings(data_dir=Path(directory), _env_file=None)  # type: ignore[call-arg]
        migrate(settings.database_url)
        return create_app(settings).openapi()
