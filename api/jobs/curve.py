"""When the reward curve has changed: its ETag."""

from __future__ import annotations

from core.jobs.types import Job


def curve_tag(job: Job, *, after_step: int, form: str) -> str:
    """The ETag of a curve, from the job's row alone. A committed step moves `step`, `attempts` or `train_seconds`."""
    return f'"{job.id}.{job.status}.{job.step}.{job.attempts}.{job.train_seconds:.3f}.{after_step}.{form}"'


def matches(header: str | None, tag: str) -> bool:
    """Whether an `if-none-match` header names the tag (weakly, as HTTP compares for GET)."""
    if header is None:
        return False
    return any(item.strip().removeprefix("W/") in (tag, "*") for item in header.split(","))
