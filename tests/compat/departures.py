"""Where OpenAI's own types have no room for what its service (and this one) answers: lax clients read it, strict ones refuse.

The only such places. Each names the method whose reply a strict client refuses; the calls before it pass.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from openai import OpenAI

from tests.compat.cases import CASES
from tests.compat.cases.base import Case
from tests.compat.world import HAS_AN_A, World

IN_CASES = {"fine_tuning.jobs.pause": "/pause"}
"""Methods of the table whose every reply is one: `paused` is no status that the types know. With the end of the path refused."""


@dataclass(frozen=True)
class Departure:
    """One reply that strict clients refuse."""

    reason: str
    call: Callable[[OpenAI, World], Any]
    read: Callable[[Any], bool]
    """What a lax client finds there."""


def _job_with(grader: dict[str, Any]) -> Callable[[OpenAI, World], Any]:
    def call(client: OpenAI, world: World) -> Any:
        with world.client() as lax:
            job = world.create(lax, method={"type": "reinforcement", "reinforcement": {"grader": grader}})
            lax.fine_tuning.jobs.cancel(job.id)
        return client.fine_tuning.jobs.retrieve(job.id)

    return call


def _paused(client: OpenAI, world: World) -> Any:
    from tests.compat.cases.jobs import waiting

    with world.client() as lax:
        job = waiting(lax, world)
        lax.fine_tuning.jobs.pause(job.id)
        try:
            return client.fine_tuning.jobs.retrieve(job.id)
        finally:
            lax.fine_tuning.jobs.cancel(job.id)


MULTI = {"type": "multi", "name": "both", "graders": {"a": HAS_AN_A, "b": {**HAS_AN_A, "name": "b"}}, "calculate_output": "a + b"}
ENDPOINT = {"type": "endpoint", "name": "theirs", "url": "https://grader.example.com/score", "headers": {"x-key": "secret"}}

DEPARTURES = {
    "a job that is paused": Departure("`status` has no `paused`", _paused, lambda job: job.status == "paused"),
    "a job with a multi grader": Departure(
        "`graders` of a multi grader is one grader in the types, and a dict of graders on the wire",
        _job_with(MULTI),
        lambda job: job.method.reinforcement.grader.graders["a"]["name"] == "has an a",
    ),
    "a job with an endpoint grader": Departure(
        "the types know no grader of this type",
        _job_with(ENDPOINT),
        lambda job: job.method.reinforcement.grader.headers == {"x-key": "**********"},
    ),
    "a validated multi grader": Departure(
        "as in a job",
        lambda client, _world: client.fine_tuning.alpha.graders.validate(grader=MULTI),
        lambda reply: set(reply.grader.graders) == {"a", "b"},
    ),
    "a file for evals": Departure(
        "`purpose` of a file object has no `evals`, although one may be uploaded for them",
        lambda client, _world: client.files.create(file=("x.jsonl", b"{}\n"), purpose="evals"),
        lambda file: file.purpose == "evals",
    ),
}

__all__ = ["CASES", "DEPARTURES", "IN_CASES", "Case", "Departure"]
