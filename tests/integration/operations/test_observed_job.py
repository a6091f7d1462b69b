"""What operators see of one job, from its create call to its end: the worker's metrics, spans, logs, errors of estimates."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

import httpx2
import pytest
from openai import OpenAI
from prometheus_client.parser import text_string_to_metric_families

from cli.topology.servers import free_port
from core.jobs import state
from core.jobs.types import Event, JobStatus, Json
from core.security.keys import KeyStore
from core.settings import DEFAULT_PROJECT
from tests.integration.api.conftest import KEY, running
from tests.models import tiny_model
from tests.otlp import ReceivedSpan, Receiver, receiving
from tests.service import HAS_AN_A, Service, rows

STEPS = 2
PROMPT = "a prompt that no trace tells"
Samples = dict[tuple[str, tuple[str, ...]], float]


@dataclass(frozen=True)
class Observed:
    """A job that has ended, and what was seen of it."""

    job_id: str
    eval_samples: int
    samples: Samples
    alive: int
    receiver: Receiver
    log: list[Json]
    last_event: Event

    def span(self, name: str) -> ReceivedSpan:
        (found,) = [span for span in self.receiver.spans if span.name == name]
        return found


@pytest.fixture(scope="module")
def observed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Observed]:
    directory = tmp_path_factory.mktemp("observed")
    with receiving() as receiver, pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint)
        service = Service(directory / "data", tiny_model(directory))
        service.settings = service.settings.model_copy(update={"metrics_port": free_port(), "log_format": "json"})
        KeyStore(service.database).create(DEFAULT_PROJECT, "test", secret=KEY)
        with running(service.settings) as api, api.client() as client:
            job_id = create(client)
            with service.supervisor():
                job = service.wait_for_end(job_id)
                assert job.status is JobStatus.SUCCEEDED, service.log()
                service.wait(lambda: scraped(service).get(("touchstone_estimate_relative_error_count", ("50%",))) == 1)
                samples = scraped(service)
                alive = httpx2.get(f"http://127.0.0.1:{service.settings.metrics_port}/livez").status_code
                service.wait(lambda: any(span.name == "run" for span in receiver.spans))
        # The API's spans are sent as it ends.
        lines = [json.loads(line) for line in service.log().splitlines() if line.startswith("{")]
        assert job.plan is not None
        eval_samples = int(job.plan["eval_samples"])
        yield Observed(job_id, eval_samples, samples, alive, receiver, lines, service.history(job_id)[-1])
        service.close()


def create(client: OpenAI) -> str:
    """A job of two steps, three validations."""
    ids = []
    for count in (4, 2):
        texts = [{**row, "messages": [{"role": "user", "content": PROMPT}]} for row in rows(count)]
        content = "".join(f"{json.dumps(row)}\n" for row in texts).encode()
        ids.append(client.files.create(file=("rows.jsonl", content), purpose="fine-tune").id)
    reinforcement = {"grader": HAS_AN_A, "hyperparameters": {"n_epochs": 1, "batch_size": 2}}
    return client.fine_tuning.jobs.create(
        model="tiny",
        training_file=ids[0],
        validation_file=ids[1],
        method={"type": "reinforcement", "reinforcement": reinforcement},
        extra_body={"touchstone": {"samples_per_prompt": 4, "max_completion_tokens": 4}},
    ).id


def scraped(service: Service) -> Samples:
    text = httpx2.get(f"http://127.0.0.1:{service.settings.metrics_port}/metrics").text
    families = text_string_to_metric_families(text)
    return {(one.name, tuple(one.labels.values())): one.value for family in families for one in family.samples}


def test_a_jobs_figures_reach_the_workers_port(observed: Observed) -> None:
    found = observed.samples
    validated = (STEPS + 1) * 2 * observed.eval_samples
    assert found["touchstone_steps_total", ()] == STEPS
    assert found["touchstone_grades_total", ("string_check",)] == 16 + validated
    assert found["touchstone_tokens_total", ("trained",)] > 0
    assert observed.alive == 200


@pytest.mark.parametrize(
    ("phase", "count"), [("sample", STEPS), ("update", STEPS), ("eval", STEPS + 1), ("grade", STEPS + 1), ("checkpoint", STEPS)]
)
def test_each_phase_is_timed(observed: Observed, phase: str, count: int) -> None:
    assert observed.samples["touchstone_step_phase_seconds_count", (phase,)] == count


def test_the_error_of_estimates_stands_in_the_last_event(observed: Observed) -> None:
    assert observed.last_event.message == state.SUCCEEDED
    assert observed.last_event.data is not None
    errors = observed.last_event.data["estimate_errors"]
    assert list(errors) == ["50%"]
    # An estimate of no time at all is wrong by -1; none can be less.
    assert errors["50%"] >= -1
    assert observed.samples["touchstone_estimate_relative_error_count", ("50%",)] == 1


def test_one_trace_goes_from_the_create_call_to_the_phases_of_steps(observed: Observed) -> None:
    created, run = observed.span("POST /v1/fine_tuning/jobs"), observed.span("run")
    assert (created.parent, run.parent) == (b"", created.id)
    steps = observed.receiver.below(run)
    assert [(step.name, step.attributes["touchstone.step"]) for step in steps] == [
        ("step", number) for number in range(STEPS + 1)
    ]
    assert {phase.name for phase in observed.receiver.below(steps[-1])} == {"sample", "update", "eval", "checkpoint"}
    assert {span.trace for span in (created, run, *steps)} == {created.trace}
    assert (created.service, run.service) == ("touchstone-api", "touchstone-runner")


def test_spans_name_the_job_and_hold_nothing_of_it(observed: Observed) -> None:
    run = observed.span("run")
    assert run.attributes["touchstone.job_id"] == observed.job_id
    assert run.attributes["touchstone.status"] == "succeeded"
    assert not [span for span in observed.receiver.spans if PROMPT.encode() in span.raw or b'"messages"' in span.raw]


def test_every_line_about_the_job_names_it(observed: Observed) -> None:
    of_job = [line for line in observed.log if observed.job_id in line["message"]]
    assert {line["logger"] for line in of_job} == {"worker.supervisor", "worker.light.validate"}
    assert {line.get("job_id") for line in of_job} == {observed.job_id}
