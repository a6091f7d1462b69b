"""What the grader process tells a launcher: one JSON argument."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from graders.sandbox.levels import Level


@dataclass(frozen=True)
class Config:
    """One zygote: its walls, its limits, and the descriptors it speaks on."""

    level: Level
    kind: str
    """`grader`: loads a source, then grades. `program`: runs scripts, each in a fork."""
    executable: str
    paths: list[str]
    """All of the machine's files that may be read."""
    scratch: str
    """An empty directory on the machine."""
    control: int
    load: int
    memory_bytes: int
    disk_bytes: int
    disk_files: int
    open_files: int
    processes: int
    """Of one call, threads included."""
    parallel: int
    """Calls at a time."""
    cpu_seconds: int

    def to_argument(self) -> str:
        """As one argument of a command line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_argument(cls, text: str) -> Config:
        """The reverse."""
        fields = json.loads(text)
        return cls(**{**fields, "level": Level(fields["level"])})
