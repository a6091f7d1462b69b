"""The seam to a model server: this service's sampler, or any endpoint of OpenAI's shape."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Protocol

Json = dict[str, Any]


class ModelClient(Protocol):
    """Chat completions. A server's errors come back as `RftError` with its message; `Unavailable` where it cannot answer now."""

    async def chat(self, body: Json) -> Json:
        """The chat completion for OpenAI's request body."""

    def stream(self, body: Json) -> AsyncIterator[Json]:
        """The chunks of a streamed chat completion."""
