from __future__ import annotations

import time

import pytest
from openai import InvalidWebhookSignatureError, OpenAI

from core.webhooks.signature import hint, new_secret, signed_headers

SECRET = "whsec_RdvaYFYUXuIFuEbvZHwMfYFhUf7aMYjYcmM24+Aj40c="
BODY = (
    '{"id": "evt_685c059ae3a481909bdc86819b066fb6", "object": "event", "created_at": 1750861210, '
    '"type": "response.completed", "data": {"id": "resp_123"}}'
)


@pytest.fixture
def client() -> OpenAI:
    return OpenAI(api_key="none")


def test_the_published_vector():
    headers = signed_headers([SECRET], "wh_685c059ae39c8190af8c71ed1022a24d", 1750861210, BODY)
    assert headers == {
        "webhook-id": "wh_685c059ae39c8190af8c71ed1022a24d",
        "webhook-timestamp": "1750861210",
        "webhook-signature": "v1,gUAg4R2hWouRZqRQG4uJypNS8YK885G838+EHb4nKBY=",
    }


def test_either_of_two_secrets_verifies(client: OpenAI):
    secrets = [new_secret(), new_secret()]
    headers = signed_headers(secrets, "wh_1", int(time.time()), BODY)
    for secret in secrets:
        assert client.webhooks.unwrap(BODY, headers, secret=secret).type == "response.completed"


def test_a_changed_body_does_not_verify(client: OpenAI):
    headers = signed_headers([SECRET], "wh_1", int(time.time()), BODY)
    with pytest.raises(InvalidWebhookSignatureError):
        client.webhooks.verify_signature(BODY.replace("resp_123", "resp_124"), headers, secret=SECRET)


def test_secrets_differ_and_their_hints_tell_little():
    first, second = new_secret(), new_secret()
    assert first != second
    assert first.startswith("whsec_")
    assert hint(first) == f"whsec_***{first.rstrip('=')[-4:]}"
