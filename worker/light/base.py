"""The seam of light work: what has to be done now and then, needs no accelerator, and waits for nobody's request."""

from __future__ import annotations

from typing import Protocol


class Chore(Protocol):
    """One kind of light work. It may be killed at any point and may run in two processes at once."""

    name: str
    every: float
    """Seconds between the end of one pass and the begin of the next."""

    def run(self) -> None:
        """One pass. What it raises is logged, and the next pass tries again."""
