"""What counts requests: alone in a process, together through a real Redis, and alone again while Redis is away."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import redis

from core.limits.base import Rate, RateLimiter
from core.limits.local import LocalRates
from core.limits.shared import SharedRates


@pytest.fixture(params=["local", "shared"])
def limiter(request: pytest.FixtureRequest) -> Iterator[RateLimiter]:
    made: RateLimiter = LocalRates() if request.param == "local" else SharedRates(request.getfixturevalue("redis_url"))
    with closing(made):
        yield made


def take(limiter: RateLimiter, count: int, limit: int = 60, project: str = "proj_a") -> list[Rate]:
    async def all_at_once() -> list[Rate]:
        return list(await asyncio.gather(*(limiter.take(project, limit) for _ in range(count))))

    return asyncio.run(all_at_once())


def passed(rates: list[Rate]) -> int:
    return sum(rate.retry_seconds is None for rate in rates)


def test_a_request_within_the_limit_passes(limiter: RateLimiter) -> None:
    (rate,) = take(limiter, 1)
    assert (rate.limit, rate.remaining, rate.retry_seconds) == (60, 59, None)


def test_no_more_than_the_limit_pass(limiter: RateLimiter) -> None:
    assert passed(take(limiter, 100, limit=10)) == 10


def test_those_refused_are_told_when_to_come_again(limiter: RateLimiter) -> None:
    *_, last = take(limiter, 11, limit=10)
    assert last.retry_seconds is not None
    assert 0 < last.retry_seconds <= 6


def test_one_project_s_flood_is_not_another_s(limiter: RateLimiter) -> None:
    take(limiter, 50, limit=10, project="proj_flood")
    assert passed(take(limiter, 1, limit=10, project="proj_calm")) == 1


def test_requests_come_back_one_by_one() -> None:
    now = [0.0]
    limiter = LocalRates(clock=lambda: now[0])
    take(limiter, 60)
    now[0] = 2.5
    assert passed(take(limiter, 10)) == 2


def test_refused_requests_cost_nothing() -> None:
    now = [0.0]
    limiter = LocalRates(clock=lambda: now[0])
    take(limiter, 1000)
    now[0] = 1.0
    assert passed(take(limiter, 1)) == 1


def test_processes_share_a_limit_through_redis(redis_url: str) -> None:
    with closing(SharedRates(redis_url)) as one, closing(SharedRates(redis_url)) as other:
        assert passed(take(one, 6, limit=10)) + passed(take(other, 6, limit=10)) == 10


def test_redis_forgets_projects_that_rest(redis_url: str) -> None:
    with closing(SharedRates(redis_url)) as limiter, redis.Redis.from_url(redis_url) as client:
        take(limiter, 1, limit=60)
        assert 0 < client.pttl("rft:rate:proj_a") <= 1000


@pytest.fixture(params=["refuses", "hangs"])
def lost_redis(request: pytest.FixtureRequest, tmp_path: Path, silent_port: Callable[[], int]) -> str:
    """The URL of a Redis that is not there, or does not answer."""
    return f"unix://{tmp_path / 'nothing.sock'}" if request.param == "refuses" else f"redis://127.0.0.1:{silent_port()}"


def test_without_redis_each_process_counts_for_itself(lost_redis: str, caplog: pytest.LogCaptureFixture) -> None:
    with closing(SharedRates(lost_redis)) as limiter, caplog.at_level(logging.WARNING):
        assert passed(take(limiter, 20, limit=10)) == 10
    assert "Redis does not answer" in caplog.text


def test_an_outage_is_waited_for_once(lost_redis: str, caplog: pytest.LogCaptureFixture) -> None:
    with closing(SharedRates(lost_redis)) as limiter, caplog.at_level(logging.WARNING):
        for _ in range(20):
            take(limiter, 1)
    assert caplog.text.count("Redis does not answer") == 1
