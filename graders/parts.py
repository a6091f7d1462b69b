"""What graders are built with, and whether it reaches what a configuration names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from core.outbound import Outbound, check_url
from graders.base import Sandbox
from graders.judges.pool import Judges, NoJudges
from graders.specs.base import GraderSpec


@dataclass(frozen=True)
class GraderParts:
    """What the outside world gives to graders, each made only where some grader needs it."""

    sandbox: Callable[[], Sandbox]
    """Where python graders and model code run. Called at most once for each `build`: the members of a multi grader share it."""
    judges: Judges = field(default_factory=NoJudges)
    """Who answers for the models that graders name. Shared among graders, and closed by its owner alone."""
    outbound: Outbound = field(default_factory=Outbound)
    """The way to clients' endpoints. Its owner's to close."""
    allow_private_urls: bool = False
    """Whether URLs of clients may lead to private addresses."""

    def check(self, spec: GraderSpec, param: str = "grader") -> None:
        """Raises `InvalidRequest` (400) naming the field below `param` that holds an unknown judge or a URL not to be called."""
        for name, path in spec.judges(param):
            self.judges.check(name, path)
        for url, path in spec.urls(param):
            check_url(url, allow_private=self.allow_private_urls, param=path)
