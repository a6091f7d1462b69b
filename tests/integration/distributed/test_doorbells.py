"""What schedulers put into Celery's queues on a real Redis."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator

import pytest

from tests.cluster import RedisServer
from worker.celery_app import GPU_QUEUE, LIGHT_QUEUE, celery_app
from worker.tasks import Doorbells


@pytest.fixture
def empty(redis_server: RedisServer) -> Iterator[RedisServer]:
    with redis_server.client() as client:
        client.flushall()
        yield redis_server
        client.flushall()


def doorbells(server: RedisServer) -> Doorbells:
    return Doorbells(celery_app(server.url), server.url)


def test_message_holds_the_id_of_its_job_and_no_more(empty: RedisServer) -> None:
    doorbells(empty).run("ftjob-A")
    with empty.client() as client:
        (message,) = (json.loads(raw) for raw in client.lrange(GPU_QUEUE, 0, -1))
    arguments, keywords, _ = json.loads(base64.b64decode(message["body"]))
    assert (arguments, keywords, message["headers"]["task"]) == ([], {"job_id": "ftjob-A"}, "rft.run")


def test_each_kind_of_work_has_its_queue(empty: RedisServer) -> None:
    bells = doorbells(empty)
    bells.run("ftjob-A")
    bells.validate("ftjob-A")
    bells.chore("webhooks")
    assert (bells.waiting(GPU_QUEUE), bells.waiting(LIGHT_QUEUE)) == (1, 2)


def test_two_schedulers_ask_for_a_chore_once_in_its_time(empty: RedisServer) -> None:
    one, other = doorbells(empty), doorbells(empty)
    for bells in (one, other, one):
        bells.chore("expired files", every=3600.0)
    assert one.waiting(LIGHT_QUEUE) == 1


def test_queue_that_nobody_reads_does_not_grow_for_ever(empty: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.tasks.MAX_WAITING", 3)
    bells = doorbells(empty)
    for number in range(5):
        bells.run(f"ftjob-{number}")
    assert bells.waiting(GPU_QUEUE) == 3


def test_nobody_is_rung_while_redis_is_away(redis_server: RedisServer) -> None:
    bells = doorbells(redis_server)
    redis_server.kill()
    try:
        bells.run("ftjob-A")
        bells.chore("webhooks", every=1.0)
        assert bells.waiting(GPU_QUEUE) is None
    finally:
        redis_server.start()


def test_messages_go_out_again_after_a_flush(empty: RedisServer) -> None:
    bells = doorbells(empty)
    bells.run("ftjob-A")
    with empty.client() as client:
        client.flushall()
    bells.run("ftjob-B")
    assert bells.waiting(GPU_QUEUE) == 1
