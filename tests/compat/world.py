"""A served instance on the tiny model: `rft serve`, a scripted judge, a receiver of webhooks, one finished job."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from openai import OpenAI
from openai.types.fine_tuning import FineTuningJob

from tests.integration.cli.conftest import Workplace, make_workplace
from tests.judge import Asked, Said, scored, serving, verdict
from tests.judge import Server as Judge
from tests.receiver import Received, Receiver, receiving

Json = dict[str, Any]

KEY, ADMIN_KEY = "sk-of-the-compatibility-suite", "sk-admin-of-the-compatibility-suite"
MODEL = "o4-mini-2025-04-16"
"""The alias under which scripts written for OpenAI find the tiny model."""
ALIASES = (MODEL, "gpt-5-2025-08-07")
JUDGES = (MODEL, "gpt-4o-2024-08-06", "gpt-4.1-2025-04-14", "o3-mini-2025-01-31", "gpt-4o-mini-2024-07-18", "gpt-audio")
PATIENCE_SECONDS = 240.0
"""After which something awaited is given up. Not a measure of speed: a hang has to end somehow."""
FEW = {"samples_per_prompt": 4, "max_completion_tokens": 8}
"""Our options that make a job on the tiny model short."""
HAS_AN_A: Json = {
    "type": "string_check",
    "name": "has an a",
    "operation": "ilike",
    "input": "{{sample.output_text}}",
    "reference": "{{item.wanted}}",
}
HELLO = [{"role": "user", "content": "say 1"}]


def jsonl(rows: list[Json]) -> bytes:
    """The rows as a data file."""
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def rows(count: int, **columns: Any) -> list[Json]:
    """Rows of a data file whose prompts differ."""
    return [{"messages": [{"role": "user", "content": f"say {number}"}], "wanted": "a", **columns} for number in range(count)]


def scripted(asked: Asked) -> Said:
    """What the judge answers: whether reference and answer are the same, the number in the answer, or the text's length.

    It is an endpoint of `endpoint` graders too, for which the length is the score.
    """
    if asked.path == "/score":
        return scored(len(asked.body["sample"]["output_text"]) / 16)
    content = asked.body["messages"][-1]["content"]
    text = content if isinstance(content, str) else " ".join(part.get("text", part["type"]) for part in content)
    if same := re.fullmatch(r".*Reference: (.*) Answer: (.*)", text):
        return verdict(float(same[1] == same[2]))
    if number := re.fullmatch(r".*the answer (.*)\.", text):
        return verdict(float(number[1]))
    return verdict(len(text) % 5 / 4)


def wait_for(what: Callable[[], Any]) -> Any:
    """The first true value of `what`."""
    give_up = time.monotonic() + PATIENCE_SECONDS
    while not (value := what()):
        assert time.monotonic() < give_up
        time.sleep(0.1)
    return value


@dataclass(frozen=True)
class World:
    """Everything that a case may need."""

    base_url: str
    workplace: Workplace
    judge: Judge
    receiver: Receiver
    signing_secret: str
    """Of the webhook endpoint that hears of succeeded jobs."""
    job: FineTuningJob
    """A job that has succeeded."""
    spare: list[str]
    """Jobs whose models a case may delete."""

    def client(self, **options: Any) -> OpenAI:
        """A client with a project's key and an admin's."""
        return OpenAI(**{"base_url": self.base_url, "api_key": KEY, "admin_api_key": ADMIN_KEY, "max_retries": 0, **options})

    @property
    def model(self) -> str:
        """The finished job's model."""
        assert self.job.fine_tuned_model is not None
        return self.job.fine_tuned_model

    @property
    def eval_id(self) -> str:
        """The eval of the finished job."""
        assert self.job.model_extra is not None
        return str(self.job.model_extra["eval_id"])

    def checkpoint(self, client: OpenAI) -> str:
        """The name of the finished job's last checkpoint."""
        return client.fine_tuning.jobs.checkpoints.list(self.job.id).data[0].fine_tuned_model_checkpoint

    def create(self, client: OpenAI, **changes: Any) -> FineTuningJob:
        """A job like the finished one, with what a caller changes."""
        return client.fine_tuning.jobs.create(**{**_body(self.job.training_file, str(self.job.validation_file)), **changes})

    def wait_for_end(self, job_id: str) -> FineTuningJob:
        """The job once its status is final."""
        with self.client() as client:
            return ended(client, job_id)

    def delivery(self) -> Received:
        """The webhook that told of the finished job."""
        found: Received = wait_for(
            lambda: next((it for it in self.receiver.received if json.loads(it.body)["data"]["id"] == self.job.id), None)
        )
        return found

    def log(self) -> str:
        """The end of what the service has written."""
        return (self.workplace.directory / "serve.log").read_text(errors="replace")[-4000:]


def ended(client: OpenAI, job_id: str) -> FineTuningJob:
    """The job once its status is final."""

    def final() -> FineTuningJob | None:
        job = client.fine_tuning.jobs.retrieve(job_id)
        return job if job.status in ("succeeded", "failed", "cancelled") else None

    found: FineTuningJob = wait_for(final)
    return found


def _body(train: str, valid: str) -> Json:
    hyperparameters = {"n_epochs": 1, "batch_size": 4, "eval_interval": 1, "eval_samples": 1}
    return {
        "model": MODEL,
        "training_file": train,
        "validation_file": valid,
        "suffix": "compat",
        "seed": 1,
        "metadata": {"suite": "compat"},
        "method": {"type": "reinforcement", "reinforcement": {"grader": HAS_AN_A, "hyperparameters": hyperparameters}},
        "extra_body": {"touchstone": FEW},
    }


@contextmanager
def opened(directory: Path) -> Iterator[World]:
    """The world, with its job finished. Clients made meanwhile find none of the caller's variables."""
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        for name in [name for name in os.environ if name.startswith(("RFT_", "OPENAI_"))]:
            patch.delenv(name)
        judge = stack.enter_context(serving(scripted))
        receiver = stack.enter_context(receiving())
        variables = {"RFT_API_KEY": KEY, "RFT_ADMIN_KEY": ADMIN_KEY, "RFT_ALLOW_PRIVATE_URLS": "1"}
        workplace = make_workplace(directory, **variables)
        models = {
            "models": {"tiny": {"source": "./tiny"}},
            "aliases": dict.fromkeys(ALIASES, "tiny"),
            "judges": {name: {"base_url": f"{judge.url}/v1"} for name in JUDGES},
        }
        (directory / "models.yaml").write_text(yaml.safe_dump(models))
        server = workplace.serve()
        stack.callback(server.end)
        client = stack.enter_context(OpenAI(base_url=server.base_url, api_key=KEY))
        endpoint = client.webhooks.create(name="all", url=receiver.url, event_types=["fine_tuning.job.succeeded"])
        files = (client.files.create(file=directory / f"{name}.jsonl", purpose="fine-tune").id for name in ("train", "valid"))
        job = ended(client, client.fine_tuning.jobs.create(**_body(*files)).id)
        world = World(server.base_url, workplace, judge, receiver, str(endpoint.signing_secret), job, [])
        assert job.status == "succeeded", f"{job.error}; {world.log()}"
        yield world
