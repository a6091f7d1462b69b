"""When a failed delivery is tried again: after 5 seconds, then five times as long each time up to 4 hours; for 72 hours."""

from __future__ import annotations

import random

GIVE_UP_SECONDS = 72 * 3600.0
FIRST_SECONDS = 5.0
FACTOR = 5.0
LONGEST_SECONDS = 4 * 3600.0
_JITTER = 0.25
"""Part of a delay by which it is made shorter or longer, so that what failed together does not come back together."""
_MAX_EXPONENT = 10


def delay_after(attempts: int, retry_after: float | None) -> float:
    """Seconds until the next attempt after this many. An endpoint may ask for a longer delay, up to the longest."""
    backoff = min(FIRST_SECONDS * FACTOR ** min(attempts - 1, _MAX_EXPONENT), LONGEST_SECONDS)
    jittered = backoff * random.uniform(1 - _JITTER, 1 + _JITTER)
    return max(jittered, min(retry_after or 0.0, LONGEST_SECONDS))
