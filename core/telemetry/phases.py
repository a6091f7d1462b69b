"""Time spent in parts of a step that its metrics do not tell, gathered until the step is committed."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from time import monotonic
from typing import Literal

Phase = Literal["grade", "checkpoint"]

_lock = threading.Lock()
_seconds: dict[str, float] = defaultdict(float)


@contextmanager
def timed(phase: Phase) -> Iterator[None]:
    """Count the block's time into a phase of the step under way."""
    begin = monotonic()
    try:
        yield
    finally:
        with _lock:
            _seconds[phase] += monotonic() - begin


def taken() -> Mapping[str, float]:
    """What was gathered since the last call."""
    with _lock:
        gathered = dict(_seconds)
        _seconds.clear()
    return gathered
