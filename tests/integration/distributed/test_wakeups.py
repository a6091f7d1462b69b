"""Changes that one process commits are seen at once by those who wait in another, told over a real Redis."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

import pytest

from api.jobs.stream import JobStreams
from core.db import MOVED, Database
from core.jobs.sql_leases import SqlLeaseStore
from core.jobs.sql_lookups import JobKey
from core.jobs.sql_store import SqlJobStore
from core.jobs.types import JobCommand, NewJob
from core.projects import ensure_default_project
from core.redis_wakeups import CHANNEL
from core.schema import migrate
from core.settings import DEFAULT_PROJECT, Settings
from core.wakeups import Moved, listen, open_database
from tests.cluster import RedisServer

NEVER = 1e6


@dataclass(frozen=True)
class World:
    """A job, and a database whose changes are told."""

    settings: Settings
    database: Database
    job_id: str

    def store(self) -> SqlJobStore:
        return SqlJobStore(self.database, DEFAULT_PROJECT)


@pytest.fixture
def world(tmp_path: Path, redis_server: RedisServer) -> Iterator[World]:
    settings = Settings(data_dir=tmp_path, redis_url=redis_server.url)
    migrate(settings.database_url)
    database = open_database(settings)
    ensure_default_project(database)
    request = {"model": "tiny", "training_file": "file-A", "method": {"type": "reinforcement", "reinforcement": {}}}
    job = SqlJobStore(database, DEFAULT_PROJECT).create(NewJob(request, "tiny", 7, "file-A", None))
    yield World(settings, database, job.id)
    database.dispose()


class Ear:
    """Keeps what was heard."""

    def __init__(self) -> None:
        self.heard: list[Moved | None] = []
        self._news = threading.Condition()

    def __call__(self, moved: Moved | None) -> None:
        with self._news:
            self.heard.append(moved)
            self._news.notify_all()

    def wait_for(self, count: int) -> None:
        with self._news:
            assert self._news.wait_for(lambda: len(self.heard) >= count, timeout=60)


@pytest.fixture
def ear(world: World) -> Iterator[Ear]:
    ear = Ear()
    end = listen(world.settings, ear)
    ear.wait_for(1)
    yield ear
    end()


def test_who_listens_is_told_first_that_something_may_be_missed(ear: Ear) -> None:
    assert ear.heard == [None]


def test_change_is_told_with_the_status_that_it_led_to(world: World, ear: Ear) -> None:
    world.store().command(world.job_id, JobCommand.CANCEL)
    ear.wait_for(2)
    assert ear.heard[1] == Moved(world.job_id, "cancelled")


def test_what_is_rolled_back_is_not_told(world: World, ear: Ear) -> None:
    with pytest.raises(RuntimeError):
        roll_back(world.database)
    world.store().command(world.job_id, JobCommand.CANCEL)
    ear.wait_for(2)
    assert ear.heard[1] == Moved(world.job_id, "cancelled")


def roll_back(database: Database) -> None:
    with database.begin() as session:
        session.info[MOVED] = {"other": "queued"}
        raise RuntimeError


def test_noise_on_the_channel_is_passed_over(world: World, ear: Ear, redis_server: RedisServer) -> None:
    with redis_server.client() as client:
        for noise in (b"\xff", b"[1]", b"null", b"{"):
            client.publish(CHANNEL, noise)
    world.store().command(world.job_id, JobCommand.CANCEL)
    ear.wait_for(2)
    assert len(ear.heard) == 2


def test_listener_hears_again_after_redis_was_away(world: World, ear: Ear, redis_server: RedisServer) -> None:
    redis_server.kill()
    redis_server.start()
    ear.wait_for(2)
    assert ear.heard[1] is None


def test_commit_stands_while_redis_is_away(world: World, redis_server: RedisServer) -> None:
    redis_server.kill()
    try:
        assert world.store().command(world.job_id, JobCommand.CANCEL).status == "cancelled"
    finally:
        redis_server.start()


def test_stream_moves_with_a_wake_up_and_not_with_its_poll(world: World) -> None:
    first, *rest = asyncio.run(seen(world))
    assert first == b"event: job"
    assert sorted(rest) == [b"event: event", b"event: job"]  # in the order in which the stream came to them


async def seen(world: World) -> list[bytes]:
    """The names of the first messages of a stream whose job fails meanwhile."""
    streams = JobStreams(Database(world.settings.database_url), "local", poll_seconds=NEVER)
    end = listen(world.settings, streams.heard)
    job = world.store().get(world.job_id)
    async with aclosing(await streams.open(JobKey(DEFAULT_PROJECT, world.job_id), None)) as messages:
        names = [await anext(messages)]
        await asyncio.to_thread(SqlLeaseStore(world.database).rejected, job, {"code": "no", "message": "No.", "param": None})
        names += [await asyncio.wait_for(anext(messages), 60) for _ in range(2)]
    await asyncio.to_thread(end)
    return [name.split(b"\n")[0] for name in names]
