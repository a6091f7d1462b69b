from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

import httpx2
import pytest
from openai import BadRequestError, NotFoundError, OpenAI
from openai.types.webhooks.webhook_test_params import WebhookTestParams

from core.webhooks.store import MAX_ENDPOINTS
from tests.receiver import receiving, says

from .conftest import Service, prepared, running

SUCCEEDED = "fine_tuning.job.succeeded"
URL = "https://hooks.example.com/rft"


@pytest.fixture(scope="module")
def lenient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that may call private URLs."""
    with running(prepared(tmp_path_factory.mktemp("lenient"), allow_private_urls=True)) as service:
        yield service


@pytest.fixture(params=[False, True], ids=["lax", "strict"])
def sdk(request: pytest.FixtureRequest, service: Service) -> Iterator[OpenAI]:
    with service.client(_strict_response_validation=request.param) as client:
        yield client


@pytest.fixture
def endpoint(client: OpenAI) -> Iterator[Any]:
    made = client.webhooks.create(name="mine", url=URL, event_types=[SUCCEEDED])
    yield made
    client.webhooks.delete(made.id)


def refusal(call: Any) -> tuple[str | None, str | None]:
    with pytest.raises(BadRequestError) as caught:
        call()
    return caught.value.code, caught.value.param


class TestThroughTheSdk:
    def test_create(self, sdk: OpenAI):
        made = sdk.webhooks.create(name="mine", url=URL, event_types=[SUCCEEDED, "batch.failed"])
        assert (made.object, made.name, made.url, made.event_types) == (
            "webhook_endpoint",
            "mine",
            URL,
            [SUCCEEDED, "batch.failed"],
        )
        assert made.signing_secret.startswith("whsec_")
        assert made.signing_secret_hint == f"whsec_***{made.signing_secret.rstrip('=')[-4:]}"
        assert made.created_at == made.updated_at > 0
        sdk.webhooks.delete(made.id)

    def test_retrieve_shows_no_secret(self, sdk: OpenAI, endpoint: Any):
        found = sdk.webhooks.retrieve(endpoint.id)
        assert found.to_dict() == {k: v for k, v in endpoint.to_dict().items() if k != "signing_secret"}

    def test_update(self, sdk: OpenAI, endpoint: Any):
        changed = sdk.webhooks.update(endpoint.id, name="renamed")
        assert (changed.name, changed.url, changed.event_types) == ("renamed", URL, [SUCCEEDED])
        changed = sdk.webhooks.update(endpoint.id, url="https://other.example.com/", event_types=["batch.failed"])
        assert (changed.name, changed.url, changed.event_types) == ("renamed", "https://other.example.com/", ["batch.failed"])

    def test_list_pages_through_all(self, sdk: OpenAI):
        made = [sdk.webhooks.create(name=f"{n}", url=URL, event_types=[SUCCEEDED]).id for n in range(5)]
        assert [it.id for it in sdk.webhooks.list(limit=2)][:5] == made[::-1]
        for it in made:
            sdk.webhooks.delete(it)

    def test_delete(self, sdk: OpenAI):
        made = sdk.webhooks.create(name="gone", url=URL, event_types=[SUCCEEDED])
        gone = sdk.webhooks.delete(made.id)
        assert (gone.id, gone.object, gone.deleted) == (made.id, "webhook_endpoint.deleted", True)
        with pytest.raises(NotFoundError):
            sdk.webhooks.retrieve(made.id)

    @pytest.mark.parametrize("keep", [True, False])
    def test_rotate_secret(self, sdk: OpenAI, endpoint: Any, keep: bool):
        rotated = sdk.webhooks.rotate_secret(endpoint.id, keep_old_secret_active_for_24_hours=keep)
        assert rotated.id == endpoint.id
        assert rotated.signing_secret != endpoint.signing_secret
        assert sdk.webhooks.retrieve(endpoint.id).signing_secret_hint == rotated.signing_secret_hint

    def test_event_types(self, sdk: OpenAI):
        known = list(get_args(get_type_hints(WebhookTestParams)["event_type"]))
        assert sdk.webhooks.event_types.list().data == known


class TestOfAnEndpoint:
    @pytest.fixture(params=[False, True], ids=["lax", "strict"])
    def client(self, request: pytest.FixtureRequest, lenient: Service) -> Iterator[OpenAI]:
        with lenient.client(_strict_response_validation=request.param) as client:
            yield client

    def test_a_sample_of_the_event_is_sent_and_verifies(self, client: OpenAI):
        with receiving() as receiver:
            made = client.webhooks.create(name="here", url=receiver.url, event_types=["batch.failed"])
            result = client.webhooks.test(made.id, event_type=SUCCEEDED)
            (request,) = receiver.received
        assert (result.object, result.event_type, result.status_code) == ("webhook_endpoint.test", SUCCEEDED, 204)
        assert (result.success, result.webhook_endpoint_id) == (True, made.id)
        event = client.webhooks.unwrap(request.body, request.headers, secret=made.signing_secret)
        assert (event.type, event.object) == (SUCCEEDED, "event")

    def test_a_refusing_endpoint_is_told_by_its_status(self, client: OpenAI):
        with receiving(says(503)) as receiver:
            made = client.webhooks.create(name="here", url=receiver.url, event_types=[SUCCEEDED])
            assert client.webhooks.test(made.id, event_type=SUCCEEDED).status_code == 503

    def test_an_endpoint_without_an_answer_is_an_error(self, client: OpenAI):
        with receiving() as receiver:
            made = client.webhooks.create(name="here", url=receiver.url, event_types=[SUCCEEDED])
        assert refusal(lambda: client.webhooks.test(made.id, event_type=SUCCEEDED))[0] == "webhook_test_failed"

    def test_both_secrets_sign_after_a_rotation_with_overlap(self, client: OpenAI):
        with receiving() as receiver:
            made = client.webhooks.create(name="here", url=receiver.url, event_types=[SUCCEEDED])
            rotated = client.webhooks.rotate_secret(made.id, keep_old_secret_active_for_24_hours=True)
            client.webhooks.test(made.id, event_type=SUCCEEDED)
            (request,) = receiver.received
        for secret in (made.signing_secret, rotated.signing_secret):
            client.webhooks.verify_signature(request.body, request.headers, secret=secret)

    def test_a_test_leaves_the_endpoint_as_it_was(self, client: OpenAI):
        with receiving() as receiver:
            made = client.webhooks.create(name="here", url=receiver.url, event_types=[SUCCEEDED])
            client.webhooks.test(made.id, event_type=SUCCEEDED)
        assert client.webhooks.retrieve(made.id).updated_at == made.updated_at


class TestRefusals:
    @pytest.mark.parametrize(
        "url",
        [
            "http://hooks.example.com/",
            "https://127.0.0.1/",
            "https://169.254.169.254/latest/meta-data",
            "https://user:secret@hooks.example.com/",
            "https://hooks.example.com:22/",
            "https://localhost/",
            "nonsense",
        ],
    )
    def test_urls_that_may_not_be_called(self, client: OpenAI, endpoint: Any, url: str):
        create = refusal(lambda: client.webhooks.create(name="x", url=url, event_types=[SUCCEEDED]))
        update = refusal(lambda: client.webhooks.update(endpoint.id, url=url))
        assert create == update == ("url_not_allowed", "url")
        assert client.webhooks.retrieve(endpoint.id).url == URL

    @pytest.mark.parametrize(
        ("changes", "param"),
        [
            ({"name": ""}, "name"),
            ({"name": "x" * 257}, "name"),
            ({"name": "a\nb"}, "name"),
            ({"name": 7}, "name"),
            ({"url": "https://example.com/" + "x" * 3000}, "url"),
            ({"url": None}, "url"),
            ({"event_types": []}, "event_types"),
            ({"event_types": ["job.exploded"]}, "event_types[0]"),
            ({"event_types": SUCCEEDED}, "event_types"),
            ({"event_types": [SUCCEEDED] * 200}, "event_types"),
            ({"secret": "whsec_mine"}, "secret"),
        ],
    )
    def test_values_out_of_bounds(self, http: httpx2.Client, endpoint: Any, changes: dict[str, Any], param: str):
        body = {"name": "x", "url": URL, "event_types": [SUCCEEDED], **changes}
        for path in ("/v1/webhook_endpoints", f"/v1/webhook_endpoints/{endpoint.id}"):
            reply = http.post(path, json=body)
            assert (reply.status_code, reply.json()["error"]["param"]) == (400, param)

    def test_missing_fields(self, http: httpx2.Client):
        error = http.post("/v1/webhook_endpoints", json={"name": "x"}).json()["error"]
        assert error["code"] == "missing_required_parameter"

    def test_a_project_cannot_have_endpoints_without_end(self, tmp_path: Path):
        with running(prepared(tmp_path)) as service, service.client() as client:
            for number in range(MAX_ENDPOINTS):
                client.webhooks.create(name=f"{number}", url=URL, event_types=[SUCCEEDED])
            code, _ = refusal(lambda: client.webhooks.create(name="x", url=URL, event_types=[SUCCEEDED]))
        assert code == "too_many_endpoints"

    def test_no_call_without_a_key(self, anonymous: httpx2.Client, endpoint: Any):
        for method, path in (
            ("GET", "/v1/webhook_endpoints"),
            ("POST", "/v1/webhook_endpoints"),
            ("GET", f"/v1/webhook_endpoints/{endpoint.id}"),
            ("POST", f"/v1/webhook_endpoints/{endpoint.id}/test"),
            ("GET", f"/v1/webhook_endpoints/{endpoint.id}/deliveries"),
            ("GET", "/v1/webhook_event_types"),
        ):
            assert anonymous.request(method, path).status_code == 401

    def test_foreign_endpoints_do_not_exist(self, foreign_client: OpenAI, endpoint: Any):
        webhooks = foreign_client.webhooks
        for call in (
            lambda: webhooks.retrieve(endpoint.id),
            lambda: webhooks.update(endpoint.id, name="x"),
            lambda: webhooks.delete(endpoint.id),
            lambda: webhooks.rotate_secret(endpoint.id),
            lambda: webhooks.test(endpoint.id, event_type=SUCCEEDED),
            lambda: webhooks.list(after=endpoint.id),
            lambda: foreign_client.get(f"/webhook_endpoints/{endpoint.id}/deliveries", cast_to=dict[str, Any]),
        ):
            with pytest.raises(NotFoundError):
                call()
        assert endpoint.id not in [it.id for it in webhooks.list()]


def test_the_same_event_twice_is_once(client: OpenAI):
    made = client.webhooks.create(name="x", url=URL, event_types=[SUCCEEDED, SUCCEEDED])
    assert made.event_types == [SUCCEEDED]
    client.webhooks.delete(made.id)


def test_a_create_call_that_the_client_repeats_makes_one_endpoint(client: OpenAI):
    calls = [
        client.webhooks.create(name="again", url=URL, event_types=[SUCCEEDED], extra_headers={"x-stainless-retry-count": count})
        for count in ("0", "1", "2")
    ]
    assert len({(made.id, made.signing_secret) for made in calls}) == 1
    client.webhooks.delete(calls[0].id)


def test_a_rotation_needs_no_body(http: httpx2.Client, endpoint: Any):
    assert http.post(f"/v1/webhook_endpoints/{endpoint.id}/rotate_secret").json()["signing_secret"].startswith("whsec_")


def test_an_endpoint_without_deliveries(http: httpx2.Client, endpoint: Any):
    page = http.get(f"/v1/webhook_endpoints/{endpoint.id}/deliveries").json()
    assert page == {"object": "list", "data": [], "has_more": False, "first_id": None, "last_id": None}


def test_it_is_the_same_on_postgresql(postgres_service: Service):
    with postgres_service.client(_strict_response_validation=True) as client:
        made = client.webhooks.create(name="mine", url=URL, event_types=[SUCCEEDED])
        client.webhooks.update(made.id, name="renamed")
        client.webhooks.rotate_secret(made.id, keep_old_secret_active_for_24_hours=True)
        assert [it.name for it in client.webhooks.list(limit=1)] == ["renamed"]
        assert client.webhooks.delete(made.id).deleted
