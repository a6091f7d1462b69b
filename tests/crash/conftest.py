"""One job, run once without a disturbance: what every disturbed run of the same job has to end with."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from core.jobs.types import Job, JobStatus
from tests.models import tiny_model
from tests.service import Outcome, Service, rows

from .cells import Deployment
from .record import Record
from .running import Places
from .running import undisturbed as run_undisturbed
from .servers import postgres_template
from .world import World, world

STEPS = 6


@dataclass(frozen=True)
class Bench:
    """A service, and the job that all runs share."""

    service: Service
    undisturbed: Outcome

    def job(self, **changes: Any) -> Job:
        return create(self.service, **changes)

    def assert_same_end(self, job: Job) -> None:
        """Succeeded, with the bits of the undisturbed run."""
        assert job.status is JobStatus.SUCCEEDED, self.service.log()[-4000:]
        assert self.service.outcome(job.id) == self.undisturbed


def create(service: Service, **changes: Any) -> Job:
    options = {"samples_per_prompt": 16, "max_completion_tokens": 12, "learning_rate": 0.005, "final_checkpoint": "last"}
    return service.create(
        train=rows(8),
        valid=rows(4),
        hyperparameters={"n_epochs": STEPS // 2, "batch_size": 4, "eval_interval": 2},
        options={**options, **changes},
    )


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="session")
def bare_environment() -> Iterator[None]:
    """For what is run once a session: none of the caller's variables."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("RFT_", "AWS_"))]:
            patch.delenv(name)
        yield


@pytest.fixture(scope="session")
def undisturbed(model: Path, tmp_path_factory: pytest.TempPathFactory, bare_environment: None) -> Outcome:
    service = Service(tmp_path_factory.mktemp("undisturbed"), model)
    job = service.run(create(service))
    assert job.status is JobStatus.SUCCEEDED, service.log()[-4000:]
    outcome = service.outcome(job.id)
    service.close()
    return outcome


@pytest.fixture(scope="session")
def places(model: Path, tmp_path_factory: pytest.TempPathFactory, bare_environment: None) -> Iterator[Places]:
    with postgres_template() as template:
        yield Places(model, template, tmp_path_factory.mktemp("cells"))


@pytest.fixture(scope="session")
def calm(places: Places) -> Record:
    return run_undisturbed(places)


@pytest.fixture
def distributed(places: Places, tmp_path: Path) -> Iterator[World]:
    with world(Deployment.DISTRIBUTED, tmp_path, places.model, places.template) as made:
        yield made


@pytest.fixture
def bench(model: Path, undisturbed: Outcome, tmp_path: Path) -> Iterator[Bench]:
    service = Service(tmp_path / "data", model)
    yield Bench(service, undisturbed)
    service.close()
