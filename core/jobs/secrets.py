"""What a job's configuration holds that nobody may read again, its owner included: how endpoints know that it is us."""

from __future__ import annotations

from typing import Any

MASK = "**********"
_SECRETS = ("headers", "signing_secret")


def masked(config: Any) -> Any:
    """A grader or tool configuration, or a list of them, with `MASK` in place of signing secrets and all values of headers."""
    if isinstance(config, list):
        return [masked(member) for member in config]
    if not isinstance(config, dict):
        return config
    return {name: _shown(name, value) for name, value in config.items()}


def _shown(name: str, value: Any) -> Any:
    if name == "graders" and isinstance(value, dict):
        # Its keys are the client's own names, and none of them a field.
        return {key: masked(member) for key, member in value.items()}
    if name not in _SECRETS or value is None:
        return masked(value)
    return dict.fromkeys(value, MASK) if isinstance(value, dict) else MASK
