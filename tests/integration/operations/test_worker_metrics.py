"""A worker's own port: its runner's figures reach it, and it tells that it is alive."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families

from core.jobs.types import JobStatus
from tests.models import tiny_model
from tests.service import Service, rows


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    made = Service(tmp_path / "data", tiny_model(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    made.settings = made.settings.model_copy(update={"metrics_port": port, "log_format": "json"})
    yield made
    made.close()


def job_plan_samples(service: Service, job_id: str) -> int:
    """Samples of a validation prompt."""
    plan = service.jobs.get(job_id).plan
    assert plan is not None
    return int(plan["eval_samples"])


def test_a_jobs_figures_reach_the_workers_port(service: Service) -> None:
    job = service.create(
        train=rows(4),
        valid=rows(2),
        hyperparameters={"n_epochs": 1, "batch_size": 2},
        options={"samples_per_prompt": 4, "max_completion_tokens": 4},
    )
    with service.supervisor():
        assert service.wait_for_end(job.id).status is JobStatus.SUCCEEDED

        def samples() -> dict[tuple[str, tuple[str, ...]], float]:
            text = httpx2.get(f"http://127.0.0.1:{service.settings.metrics_port}/metrics").text
            families = text_string_to_metric_families(text)
            return {(one.name, tuple(one.labels.values())): one.value for family in families for one in family.samples}

        service.wait(lambda: samples().get(("touchstone_steps_total", ())) == 2)
        found = samples()
        alive = httpx2.get(f"http://127.0.0.1:{service.settings.metrics_port}/livez")
    validated = 3 * 2 * job_plan_samples(service, job.id)
    assert found["touchstone_grades_total", ("string_check",)] == 16 + validated
    assert found["touchstone_step_phase_seconds_count", ("sample",)] == 2
    assert found["touchstone_tokens_total", ("trained",)] > 0
    assert alive.status_code == 200
    assert '"logger": "worker.supervisor"' in service.log()
