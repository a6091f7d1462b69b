"""How a runner's exit status tells its supervisor why it has ended. Any other status is a crash."""

from __future__ import annotations

from collections.abc import Mapping

IN_ORDER = 0
"""The job has ended, or was let go."""
LEASE_LOST = 3
"""The runner was fenced out."""
OUTAGE = 75
"""The database or the object store was away for too long: no fault of the job, which goes on when they are back."""

IN_WORDS: Mapping[int, str] = {IN_ORDER: "in_order", LEASE_LOST: "fenced_out", OUTAGE: "outage"}
"""As the metrics call them."""
