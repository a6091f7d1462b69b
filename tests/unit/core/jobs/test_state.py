from __future__ import annotations

import itertools

import pytest

from core.errors import WrongState
from core.jobs.state import LEASED, TERMINAL, TRANSITIONS, next_status, validating
from core.jobs.types import JobCommand, JobStatus

PAIRS = list(itertools.product(JobStatus, JobCommand))


@pytest.mark.parametrize(("status", "command"), PAIRS)
def test_every_pair_is_listed_or_refused(status: JobStatus, command: JobCommand) -> None:
    if (status, command) in TRANSITIONS:
        assert next_status(status, command) is TRANSITIONS[status, command]
    else:
        with pytest.raises(WrongState):
            next_status(status, command)


@pytest.mark.parametrize("status", sorted(TERMINAL))
def test_terminal_is_terminal(status: JobStatus) -> None:
    assert not [command for source, command in TRANSITIONS if source is status]


def test_every_status_but_the_first_is_reached() -> None:
    assert set(TRANSITIONS.values()) == set(JobStatus) - {JobStatus.VALIDATING_FILES}


def test_every_open_status_can_be_cancelled() -> None:
    assert {source for source, command in TRANSITIONS if command is JobCommand.CANCEL} == set(JobStatus) - TERMINAL


def test_no_ended_job_is_leased() -> None:
    assert not LEASED & TERMINAL


def test_refusal_says_what_would_be_allowed() -> None:
    with pytest.raises(WrongState, match=r"status 'succeeded' cannot be paused; .* 'queued', 'running'") as caught:
        next_status(JobStatus.SUCCEEDED, JobCommand.PAUSE)
    assert (caught.value.status, caught.value.code) == (400, "invalid_state")


def test_validation_names_both_files() -> None:
    assert validating("file-A", "file-B") == "Validating training file: file-A and validation file: file-B"
