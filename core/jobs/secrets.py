"""What a job's configuration holds that nobody may read again, its owner included: header values of endpoints."""

from __future__ import annotations

from typing import Any

MASK = "**********"
_SECRET = frozenset({"headers", "signing_secret"})


def masked(config: Any) -> Any:
    """A grader or tool configuration, or a list of them, with what `headers` and `signing_secret` hold replaced by `MASK`."""
    if isinstance(config, list):
        return [masked(member) for member in config]
    if not isinstance(config, dict):
        return config
    return {name: _hidden(value) if name in _SECRET else masked(value) for name, value in config.items()}


def _hidden(headers: Any) -> Any:
    if headers is None:
        return None
    return dict.fromkeys(headers, MASK) if isinstance(headers, dict) else MASK
