"""The seam of light work: what has to be done now and then, needs no accelerator, and waits for nobody's request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class Chore(Protocol):
    """One kind of light work. It may be killed at any point and may run in two processes at once."""

    name: str
    every: float
    """Seconds between the end of one pass and the begin of the next."""

    def run(self) -> None:
        """One pass. What it raises is logged, and the next pass tries again."""


@dataclass(frozen=True)
class Swept:
    """What a sweep has deleted, or would: objects (a checkpoint with all its parts is one), and their bytes where known."""

    count: int = 0
    bytes: int | None = 0

    def __add__(self, other: Swept) -> Swept:
        known = self.bytes is not None and other.bytes is not None
        return Swept(self.count + other.count, (self.bytes or 0) + (other.bytes or 0) if known else None)


class Sweep(Chore, Protocol):
    """A chore that clears away."""

    def sweep(self, *, dry_run: bool = False) -> Swept:
        """One pass; with `dry_run` nothing is changed."""
