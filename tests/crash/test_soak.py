"""A short soak; `make soak` runs the long one."""

from __future__ import annotations

import pytest

from .running import Places
from .soak import soak

JOBS = 8


@pytest.mark.heavy
@pytest.mark.timeout(1800)
def test_every_job_ends_once_and_projects_take_turns_while_processes_are_killed(places: Places) -> None:
    soaked = soak(places, JOBS)
    assert soaked.trouble == ()
    assert soaked.kills
