"""One served world for all of the suite, and jobs in the forms that OpenAI has published, which train while other tests run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.compat.published_jobs import CREATE, MODELS_NOT_NEEDED
from tests.compat.world import World, opened

Json = dict[str, Any]


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, dict[str, str]]]:
    with opened(tmp_path_factory.mktemp("compat")) as world:
        jobs = {name: create(world) for name, create in CREATE.items()}
        world.spare.extend(jobs[name] for name in MODELS_NOT_NEEDED)
        yield world, jobs


@pytest.fixture(scope="session")
def world(served: tuple[World, dict[str, str]]) -> World:
    return served[0]


@pytest.fixture(scope="session")
def finished(served: tuple[World, dict[str, str]]) -> Callable[[str], Any]:
    """A published job by its name, once it has succeeded."""
    world, jobs = served

    def wait(name: str) -> Any:
        job = world.wait_for_end(jobs[name])
        assert job.status == "succeeded", f"{job.error}; {world.log()}"
        return job

    return wait
