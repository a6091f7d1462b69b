"""One line of a benchmark's table."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Check:
    """A figure of ours beside a peer's; larger ratios are better. Where a limit stands as the peer, 1 meets it."""

    name: str
    ours: float
    peer: float
    unit: str
    ratio: float

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)
