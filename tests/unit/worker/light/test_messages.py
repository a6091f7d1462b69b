"""Deliveries to real servers over a real database."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from core.db import Database
from core.outbound import Outbound
from core.outbox import Message
from core.projects import ensure_default_project
from core.schema import migrate
from core.security.box import SecretBox
from core.settings import DEFAULT_PROJECT
from core.tables import ProjectRow
from core.webhooks.deliveries import MAX_PER_PROJECT, DeliveryQueue, fan_out
from core.webhooks.store import WebhookStore
from core.webhooks.types import Delivery, NewEndpoint
from tests.receiver import holds, receiving, says
from worker.light.messages import MAX_AT_ONCE, DeliverWebhooks

SUCCEEDED = "fine_tuning.job.succeeded"


class World:
    """A database with projects, and the chore that delivers for them."""

    def __init__(self, url: str) -> None:
        self.database = Database(url)
        ensure_default_project(self.database)
        self.box = SecretBox("a key of the tests, long enough to be one")
        self.outbound = Outbound(allow_private=True)
        self.chore = DeliverWebhooks(DeliveryQueue(self.database), self.outbound, self.box)

    def project(self, name: str) -> str:
        with self.database.begin() as session:
            session.add(ProjectRow(project_id=name, name=name, created_at=0.0))
        return name

    def endpoint(self, url: str, project_id: str = DEFAULT_PROJECT) -> str:
        return WebhookStore(self.database, self.box, project_id).create(NewEndpoint("e", url, (SUCCEEDED,)))[0].id

    def happens(self, project_id: str = DEFAULT_PROJECT) -> None:
        """An event that all endpoints of the project want."""
        with self.database.begin() as session:
            now = self.database.time(session)
            fan_out(session, Message(1, project_id, "webhook", {"type": SUCCEEDED, "job_id": "ftjob-1"}, now))

    def delivery(self, endpoint_id: str, project_id: str = DEFAULT_PROJECT) -> Delivery:
        return WebhookStore(self.database, self.box, project_id).deliveries(endpoint_id, after=None, limit=1).data[0]

    def run_until(self, what: Callable[[], bool]) -> None:
        give_up = time.monotonic() + 60
        while not what():
            assert time.monotonic() < give_up
            self.chore.run()
            time.sleep(0.01)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    url = f"sqlite:///{tmp_path / 'light.db'}"
    migrate(url)
    world = World(url)
    yield world
    world.outbound.close()
    world.database.dispose()


def test_an_event_is_delivered(world: World):
    with receiving() as receiver:
        endpoint = world.endpoint(receiver.url)
        world.happens()
        world.run_until(lambda: world.delivery(endpoint).status == "succeeded")
        assert [request.body for request in receiver.received] == [world.delivery(endpoint).body]


def test_a_refusal_is_kept_for_the_next_attempt(world: World):
    with receiving(says(302, location="http://127.0.0.1:1/")) as receiver:
        endpoint = world.endpoint(receiver.url)
        world.happens()
        world.run_until(lambda: world.delivery(endpoint).status_code == 302)
        assert world.delivery(endpoint).status == "pending"


def test_silent_endpoints_do_not_hold_up_those_that_answer(world: World):
    over = threading.Event()
    with receiving(holds(over)) as silent, receiving() as lively:
        # As many projects full of silent endpoints as leave a single place in this process.
        for number in range(MAX_AT_ONCE // MAX_PER_PROJECT):
            project = world.project(f"proj_{number}")
            for _ in range(MAX_PER_PROJECT - (number == 0)):
                world.endpoint(silent.url, project)
            for _ in range(3):
                world.happens(project)
        endpoint = world.endpoint(lively.url)
        world.run_until(lambda: len(silent.received) == MAX_AT_ONCE - 1)
        world.happens()
        world.run_until(lambda: world.delivery(endpoint).status == "succeeded")
        assert len(silent.received) == MAX_AT_ONCE - 1
        over.set()


def test_a_secret_under_another_key_is_told_and_the_delivery_stays_owed(world: World, caplog: pytest.LogCaptureFixture):
    with receiving() as receiver:
        endpoint = world.endpoint(receiver.url)
        world.happens()
        world.chore = DeliverWebhooks(DeliveryQueue(world.database), world.outbound, SecretBox("b" * 32))
        world.run_until(lambda: world.delivery(endpoint).error == "secret_unreadable")
        assert world.delivery(endpoint).status == "pending"
        assert receiver.received == []
    assert "another key" in caplog.text


def test_a_pass_with_nothing_to_do_takes_no_place(world: World):
    for _ in range(3 * MAX_AT_ONCE):
        world.chore.run()
    with receiving() as receiver:
        endpoint = world.endpoint(receiver.url)
        world.happens()
        world.run_until(lambda: world.delivery(endpoint).status == "succeeded")
