"""Creates that come twice make one object; creates that are meant twice make two."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from core.creations import REMEMBERED_SECONDS, RETRY_SECONDS, Attempt
from core.db import Database
from core.errors import InvalidRequest
from core.jobs.sql_store import SqlJobStore
from core.jobs.types import NewJob
from core.projects import ProjectStore
from tests.clock import Clock

BODY = {"model": "tiny", "training_file": "file-A"}


@pytest.fixture
def project(database: Database) -> str:
    return ProjectStore(database).create("creative").id


@pytest.fixture
def store(database: Database, project: str) -> SqlJobStore:
    return SqlJobStore(database, project)


def attempt(clock: Clock, *, key: str | None = None, retry: str | None = None, body: Any = BODY, ago: float = 0.0) -> Attempt:
    return Attempt.of("jobs", body, idempotency_key=key, retry_count=retry, arrived_at=clock.now - ago)


def create(store: SqlJobStore, attempt: Attempt) -> str:
    return store.create(NewJob(dict(BODY), "tiny", 7, "file-A", None), attempt).id


def test_two_calls_alike_make_two_jobs(store: SqlJobStore, clock: Clock) -> None:
    assert create(store, attempt(clock)) != create(store, attempt(clock, retry="0"))


def test_a_retry_gets_what_the_call_made(store: SqlJobStore, clock: Clock) -> None:
    first = create(store, attempt(clock))
    assert create(store, attempt(clock, retry="1")) == first


def test_a_retry_whose_call_never_arrived_makes_a_job(store: SqlJobStore, clock: Clock) -> None:
    first = create(store, attempt(clock, retry="1"))
    assert create(store, attempt(clock, retry="2")) == first


def test_a_retry_gets_the_latest_of_calls_alike(store: SqlJobStore, clock: Clock) -> None:
    create(store, attempt(clock))
    second = create(store, attempt(clock))
    assert create(store, attempt(clock, retry="1")) == second


def test_a_call_that_its_retry_overtook_makes_no_second_job(store: SqlJobStore, clock: Clock) -> None:
    slow = attempt(clock)
    clock.now += 5.0
    made = create(store, attempt(clock, retry="1"))
    assert create(store, slow) == made


def test_a_retry_with_another_body_makes_a_job(store: SqlJobStore, clock: Clock) -> None:
    first = create(store, attempt(clock))
    assert create(store, attempt(clock, retry="1", body={**BODY, "seed": 1})) != first


def test_the_order_of_fields_is_no_difference(store: SqlJobStore, clock: Clock) -> None:
    first = create(store, attempt(clock))
    assert create(store, attempt(clock, retry="1", body=dict(reversed(BODY.items())))) == first


def test_a_retry_long_after_makes_a_job(store: SqlJobStore, clock: Clock) -> None:
    first = create(store, attempt(clock))
    clock.now += RETRY_SECONDS + 1
    assert create(store, attempt(clock, retry="1")) != first


def test_an_idempotency_key_makes_one_job(store: SqlJobStore, clock: Clock) -> None:
    first = create(store, attempt(clock, key="mine"))
    clock.now += REMEMBERED_SECONDS - 1
    assert create(store, attempt(clock, key="mine")) == first


def test_another_idempotency_key_makes_another_job(store: SqlJobStore, clock: Clock) -> None:
    assert create(store, attempt(clock, key="mine")) != create(store, attempt(clock, key="other"))


def test_an_idempotency_key_for_another_body_is_refused(store: SqlJobStore, clock: Clock) -> None:
    create(store, attempt(clock, key="mine"))
    with pytest.raises(InvalidRequest) as caught:
        create(store, attempt(clock, key="mine", body={**BODY, "seed": 1}))
    assert caught.value.code == "idempotency_key_reused"


def test_an_idempotency_key_is_forgotten_after_a_day(store: SqlJobStore, clock: Clock) -> None:
    first = create(store, attempt(clock, key="mine"))
    clock.now += REMEMBERED_SECONDS + 1
    assert create(store, attempt(clock, key="mine", body={**BODY, "seed": 1})) != first


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_an_idempotency_key_of_no_use_is_refused(clock: Clock, key: str) -> None:
    with pytest.raises(InvalidRequest):
        attempt(clock, key=key)


def test_another_project_s_creates_are_none_of_ours(store: SqlJobStore, database: Database, clock: Clock) -> None:
    foreign = SqlJobStore(database, ProjectStore(database).create("foreign").id)
    assert create(foreign, attempt(clock, key="mine")) != create(store, attempt(clock, key="mine"))


def test_calls_that_race_make_one_job(store: SqlJobStore, clock: Clock) -> None:
    attempts = [attempt(clock, key="mine") for _ in range(8)]
    with ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(lambda one: create(store, one), attempts))) == 1


def test_retries_that_race_with_their_call_make_one_job(store: SqlJobStore, clock: Clock) -> None:
    attempts = [attempt(clock, retry=str(number)) for number in range(8)]
    with ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(lambda one: create(store, one), attempts))) == 1
