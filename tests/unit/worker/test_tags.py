from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from core.settings import Settings
from worker.tags import UnknownTag, runnable_models

MODELS = {
    "models": {
        "small": {"source": "org/small", "device_memory_gb": 8},
        "large": {"source": "org/large", "device_memory_gb": 80},
        "unknown": {"source": "org/unknown"},
    },
    "aliases": {"o4-mini": "large"},
}


def runnable(tmp_path: Path, **tags: object) -> frozenset[str] | None:
    path = tmp_path / "models.yaml"
    path.write_text(yaml.safe_dump(MODELS))
    return runnable_models(Settings(data_dir=tmp_path, models=path, **tags))


@pytest.mark.parametrize(
    ("tags", "models"),
    [
        ({}, None),
        ({"worker_models": " , "}, None),
        ({"worker_models": "small, unknown"}, {"small", "unknown"}),
        ({"worker_models": "o4-mini"}, {"large"}),
        ({"worker_memory_gb": 24}, {"small", "unknown"}),
        ({"worker_memory_gb": 80}, {"small", "large", "unknown"}),
        ({"worker_models": "large,unknown", "worker_memory_gb": 24}, {"unknown"}),
        ({"worker_models": "large", "worker_memory_gb": 24}, set()),
    ],
)
def test_worker_runs_what_it_is_named_for_and_has_room_for(
    tmp_path: Path, tags: dict[str, object], models: set[str] | None
) -> None:
    assert runnable(tmp_path, **tags) == models


def test_tag_of_no_served_model_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UnknownTag, match="'huge'"):
        runnable(tmp_path, worker_models="small,huge")
