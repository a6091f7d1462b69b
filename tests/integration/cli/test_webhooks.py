"""Webhooks from the service as users run it: a job ends, and a web server hears of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from openai import OpenAI
from sqlalchemy import update

from core.db import Database
from core.tables import WebhookDeliveryRow
from tests.integration.cli.conftest import QUICK, SUBMIT, Server, Workplace, make_workplace, wait_for
from tests.receiver import holds, receiving, says

KEY = "sk-of-the-tests"
ENDED = ["fine_tuning.job.succeeded", "fine_tuning.job.failed", "fine_tuning.job.cancelled"]


@dataclass
class Served:
    """A service that may call private URLs, and its client."""

    workplace: Workplace
    server: Server
    client: OpenAI

    def deliveries(self, endpoint_id: str) -> list[dict[str, Any]]:
        page = self.client.get(f"/webhook_endpoints/{endpoint_id}/deliveries", cast_to=dict[str, Any])
        return list(page["data"])

    def cancelled_job(self) -> str:
        job_id = self.workplace.rft(*SUBMIT, *QUICK).stdout.split()[0]
        self.client.fine_tuning.jobs.cancel(job_id)
        return job_id


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    directory: Path = tmp_path_factory.mktemp("webhooks")
    workplace = make_workplace(directory, RFT_API_KEY=KEY, RFT_ALLOW_PRIVATE_URLS="true")
    server = workplace.serve()
    workplace.variables |= {"OPENAI_BASE_URL": server.base_url, "OPENAI_API_KEY": KEY}
    with OpenAI(base_url=server.base_url, api_key=KEY, _strict_response_validation=True) as client:
        yield Served(workplace, server, client)
    server.end()


def test_the_end_of_every_job_is_delivered_and_verifies(service: Served):
    client = service.client
    (service.workplace.directory / "bad.jsonl").write_text('{"no": "messages"}\n')
    with receiving() as receiver:
        made = client.webhooks.create(name="all", url=receiver.url, event_types=ENDED)
        good = service.workplace.rft(*SUBMIT, *QUICK).stdout.split()[0]
        bad = service.workplace.rft(*("bad.jsonl" if part == "train.jsonl" else part for part in SUBMIT)).stdout.split()[0]
        cancelled = service.cancelled_job()
        wait_for(lambda: len(receiver.received) == 3)
        client.webhooks.delete(made.id)
    events = [client.webhooks.unwrap(it.body, it.headers, secret=made.signing_secret) for it in receiver.received]
    assert {(event.type, event.data.id) for event in events} == set(zip(ENDED, (good, bad, cancelled), strict=True))
    for event in events:
        assert event.created_at == client.fine_tuning.jobs.retrieve(event.data.id).finished_at


def test_a_refused_delivery_comes_again_under_the_same_id(service: Served):
    with receiving(says(500), says(204)) as receiver:
        made = service.client.webhooks.create(name="flaky", url=receiver.url, event_types=ENDED)
        service.cancelled_job()
        wait_for(lambda: service.deliveries(made.id) and service.deliveries(made.id)[0]["status"] == "succeeded")
        (delivery,) = service.deliveries(made.id)
        service.client.webhooks.delete(made.id)
    first, second = receiver.received
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == delivery["id"]
    assert first.body == second.body
    assert (delivery["attempts"], delivery["last_status_code"], delivery["next_attempt_at"]) == (2, 204, None)
    for request in (first, second):
        service.client.webhooks.verify_signature(request.body, request.headers, secret=made.signing_secret)


def test_a_worker_killed_in_the_middle_of_a_delivery_loses_nothing(service: Served):
    over = threading.Event()
    with receiving(holds(over), says(204)) as receiver:
        made = service.client.webhooks.create(name="held", url=receiver.url, event_types=ENDED)
        service.cancelled_job()
        wait_for(lambda: receiver.received)
        worker = wait_for(service.server.worker)
        worker.kill()
        psutil.wait_procs([worker])
        expire_claims(service.workplace)
        wait_for(lambda: service.deliveries(made.id)[0]["status"] == "succeeded")
        (delivery,) = service.deliveries(made.id)
        over.set()
        service.client.webhooks.delete(made.id)
    first, second = receiver.received
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body
    assert delivery["attempts"] == 2
    event = service.client.webhooks.unwrap(second.body, second.headers, secret=made.signing_secret)
    assert event.type == "fine_tuning.job.cancelled"


def expire_claims(workplace: Workplace) -> None:
    """What the time until a dead worker's claim runs out would do."""
    database = Database(f"sqlite:///{workplace.directory / 'data' / 'touchstone.db'}")
    with database.begin() as session:
        session.execute(update(WebhookDeliveryRow).values(claimed_until=0.0))
    database.dispose()
