"""A job's grader with all that it works with."""

from __future__ import annotations

from core.models import ModelRegistry
from core.outbound import Outbound
from core.sampler import sampler_service
from core.settings import Settings
from graders.base import Grader
from graders.build import build
from graders.judges.pool import JudgePool
from graders.parts import GraderParts
from graders.sandbox.service import JOB_PATIENCE_SECONDS, open_sandbox
from graders.spec import normalised, parse
from worker.metrics import GraderName, grader_names


class Reward:
    """The grader of a project's configuration; the processes behind it start when they are first needed.

    Raises `RftError` where the configuration is wrong, or names a judge that is none here.
    """

    def __init__(self, settings: Settings, models: ModelRegistry, project_id: str, config: object) -> None:
        spec = parse(config)
        self._sampler = sampler_service(settings)
        self._judges = JudgePool(models, self._sampler)
        self._outbound = Outbound(allow_private=settings.allow_private_urls)
        self._sandbox = open_sandbox(settings, JOB_PATIENCE_SECONDS)
        parts = GraderParts(
            lambda: self._sandbox.for_tenant(project_id),
            self._judges,
            self._outbound,
            settings.allow_private_urls,
        )
        self.names: list[GraderName] = grader_names(normalised(spec))
        """The whole grader, and the members of a multi grader."""
        self.grader: Grader = build(spec, parts)

    def close(self) -> None:
        """End everything; what is still being asked for comes to nothing. May be called again."""
        self.grader.close()
        self._sandbox.close()
        self._judges.close()
        self._sampler.close()
        self._outbound.close()
