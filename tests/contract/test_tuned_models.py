"""`core.jobs.models` on SQLite and PostgreSQL."""

from __future__ import annotations

import pytest

from core.errors import NotFound
from core.jobs.models import TunedModel, find_checkpoint, tuned_models
from core.settings import DEFAULT_PROJECT

from .parts import FOREIGN_PROJECT, Parts


def test_both_names_lead_to_the_checkpoint(parts: Parts) -> None:
    job = parts.finished()
    (checkpoint,) = parts.store.checkpoints(job.id, after=None, limit=2).data
    assert job.fine_tuned_model is not None
    assert find_checkpoint(parts.database, DEFAULT_PROJECT, job.fine_tuned_model) == checkpoint
    assert find_checkpoint(parts.database, DEFAULT_PROJECT, checkpoint.model_name) == checkpoint


@pytest.mark.parametrize("name", ["tuned", "checkpoint"])
def test_foreign_model_is_unknown(parts: Parts, name: str) -> None:
    job = parts.finished()
    model = str(job.fine_tuned_model) if name == "tuned" else f"ft:tiny:{job.id}:ckpt-step-1"
    with pytest.raises(NotFound) as caught:
        find_checkpoint(parts.database, FOREIGN_PROJECT, model)
    assert caught.value.message == f"The model `{model}` does not exist or you do not have access to it."
    assert (caught.value.param, caught.value.code) == ("model", "model_not_found")


def test_tuned_models_are_listed_newest_first(parts: Parts) -> None:
    first, second = parts.finished(), parts.finished()
    assert list(tuned_models(parts.database, DEFAULT_PROJECT)) == [
        TunedModel(name=str(job.fine_tuned_model), created_at=float(job.finished_at or 0), job_id=job.id)
        for job in (second, first)
    ]


def test_foreign_models_are_not_listed(parts: Parts) -> None:
    parts.finished()
    assert list(tuned_models(parts.database, FOREIGN_PROJECT)) == []
