"""Names of what a job makes."""

from __future__ import annotations

import hashlib
import string


def model_names(base: str, organization: str, suffix: str | None, job_id: str) -> tuple[str, str]:
    """Name of a job's tuned model, and the stem of its checkpoints' names (`ckpt-step-N` follows).

    `base` is the base model's own id, also where training goes on from a tuned model. The short id follows from the job's id,
    so that a resumed job gives the same names.
    """
    alphabet = string.ascii_letters + string.digits
    digest = hashlib.sha256(job_id.encode()).digest()
    short = "".join(alphabet[byte % len(alphabet)] for byte in digest[:8])
    name = f"ft:{base}:{organization}:{suffix or ''}:{short}"
    return name, f"{name}:ckpt-step-"
