"""What graders are built with, and whether it reaches what a configuration names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from core.errors import InvalidRequest
from core.outbound import Outbound, check_url
from graders.base import Json, Sandbox
from graders.judges.pool import Judges, NoJudges
from graders.sandbox.client import SandboxUnavailable
from graders.spec import normalised, parse
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
        """Raises `InvalidRequest` (400) naming the field below `param` that cannot be used here.

        Such are an unknown judge, a URL not to be called, and code where there is no sandbox for it.
        """
        for name, path in spec.judges(param):
            self.judges.check(name, path)
        for url, path in spec.urls(param):
            check_url(url, allow_private=self.allow_private_urls, param=path)
        for path in spec.sandboxed(param):
            _check_sandbox(self.sandbox(), path)


def _check_sandbox(sandbox: Sandbox, path: str) -> None:
    try:
        sandbox.check()
    except SandboxUnavailable as error:
        message = f"Invalid '{path}': no code of users runs here: {error.message}. `rft doctor` tells the operator more."
        raise InvalidRequest(message, param=path, code=error.code) from None


def checked_grader(parts: GraderParts, config: object, param: str) -> Json:
    """A configuration as a job keeps it, every name filled in; raises `InvalidRequest` naming the path below `param`."""
    spec = parse(config, param)
    parts.check(spec, param)
    return normalised(spec)
