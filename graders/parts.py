"""What graders are built with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from graders.base import Sandbox


@dataclass(frozen=True)
class GraderParts:
    """What the outside world gives to graders, each made only where some grader needs it."""

    sandbox: Callable[[], Sandbox]
    """Where python graders and model code run. Called at most once for each `build`: the members of a multi grader share it."""
