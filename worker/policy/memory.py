"""Memory that does not suffice."""

from __future__ import annotations

import torch

from core.errors import JobFailure

_WORDS = ("DefaultCPUAllocator", "not enough memory", "out of memory", "bad_alloc")
"""What torch says where it has no class of its own for it, as on CPUs."""


class OutOfMemory(JobFailure):
    """An update that does not fit, however small its parts."""

    code = "out_of_memory"


def is_out_of_memory(error: BaseException) -> bool:
    """Whether torch raised this because memory could not be had."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _WORDS)
