"""How strong a sandbox is."""

from __future__ import annotations

from enum import StrEnum


class Level(StrEnum):
    """Weakest first; what each promises stands in docs/threat-model.md."""

    NONE = "none"
    """Processes apart, time limits; no wall against intent. For development."""
    PROCESS = "process"
    """Landlock, seccomp and resource limits: what any process may do to itself."""
    STRICT = "strict"
    """Besides, own users, processes, network and file tree, by namespaces."""

    @property
    def rank(self) -> int:
        """Larger is stronger."""
        return list(Level).index(self)


LEVELS = tuple(Level)
