from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from email.utils import format_datetime

import pytest

from core.outbound import Outbound
from core.webhooks.send import send
from core.webhooks.signature import new_secret
from core.webhooks.types import Outcome
from tests.receiver import receiving, says


@pytest.fixture
def outbound() -> Iterator[Outbound]:
    client = Outbound(allow_private=True)
    yield client
    client.close()


def outcome_at(outbound: Outbound, url: str) -> Outcome:
    return send(outbound, url, [new_secret()], "wh_1", 1_700_000_000, '{"id": "evt_1"}')


def test_the_body_is_json_with_the_three_headers(outbound: Outbound):
    with receiving() as receiver:
        assert outcome_at(outbound, receiver.url).delivered
    (request,) = receiver.received
    assert (request.path, request.body) == ("/hook", '{"id": "evt_1"}')
    assert request.headers["content-type"] == "application/json"
    assert request.headers["webhook-id"] == "wh_1"
    assert request.headers["webhook-timestamp"] == "1700000000"
    assert request.headers["webhook-signature"].startswith("v1,")


@pytest.mark.parametrize(
    ("status", "delivered"), [(200, True), (299, True), (302, False), (400, False), (410, False), (500, False)]
)
def test_only_a_2xx_is_a_delivery(outbound: Outbound, status: int, delivered: bool):
    with receiving(says(status)) as receiver:
        outcome = outcome_at(outbound, receiver.url)
    assert (outcome.status_code, outcome.delivered) == (status, delivered)


def test_a_redirect_is_not_followed(outbound: Outbound):
    with receiving() as elsewhere, receiving(says(307, location=elsewhere.url)) as receiver:
        outcome_at(outbound, receiver.url)
        assert elsewhere.received == []


@pytest.mark.parametrize(("header", "seconds"), [("120", 120.0), ("soon", None), ("-5", None), ("9" * 5000, 999999999.0)])
def test_retry_after_in_seconds(outbound: Outbound, header: str, seconds: float | None):
    with receiving(says(503, retry_after=header)) as receiver:
        assert outcome_at(outbound, receiver.url).retry_after == seconds


def test_retry_after_as_a_date(outbound: Outbound):
    date = dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)
    with receiving(says(503, retry_after=format_datetime(date, usegmt=True))) as receiver:
        asked = outcome_at(outbound, receiver.url).retry_after
    assert asked is not None
    assert 3000 < asked <= 3600


def test_no_reply_is_an_outcome_with_its_reason(outbound: Outbound):
    with receiving() as receiver:
        pass
    assert outcome_at(outbound, receiver.url) == Outcome(None, "connect")


def test_an_address_that_is_not_allowed_is_an_outcome():
    assert outcome_at(Outbound(resolve=lambda _host, _port: ["10.0.0.1"]), "https://inner.example/").error == "url_not_allowed"
