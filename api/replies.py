"""JSON replies of the routes that are asked most."""

from __future__ import annotations

import json
from typing import Any

import orjson
from starlette.responses import Response


class JsonReply(Response):
    """As `JSONResponse`, encoded several times as fast."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """The bytes of plain values."""
        try:
            return orjson.dumps(content)
        except TypeError:
            # A client's own fields may hold integers of more than 64 bits, which only the slower encoder writes.
            return json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
