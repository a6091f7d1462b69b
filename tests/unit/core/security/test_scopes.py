"""What restricted keys may do."""

from __future__ import annotations

import pytest

from core.errors import InvalidRequest
from core.security.scopes import allows, checked, scope_of


@pytest.mark.parametrize(
    ("method", "resource", "scope"),
    [
        ("GET", "files", "api.files.read"),
        ("DELETE", "files", "api.files.write"),
        ("POST", "uploads", "api.files.write"),
        ("GET", "fine_tuning", "api.fine_tuning.read"),
        ("POST", "chat", "model.request"),
        ("POST", "responses", "model.request"),
        ("GET", "webhook_event_types", "api.webhooks.read"),
        ("PATCH", "models", "api.models.write"),
    ],
)
def test_every_request_needs_a_scope(method: str, resource: str, scope: str) -> None:
    assert scope_of(method, resource) == scope


@pytest.mark.parametrize(
    ("scopes", "needed", "allowed"),
    [
        ((), "api.files.write", True),
        (("api.files.read",), "api.files.read", True),
        (("api.files.read",), "api.files.write", False),
        (("api.files.read",), "api.models.read", False),
        (("api.files.write",), "api.files.read", True),
        (("api.all.read",), "api.anything.read", True),
        (("api.all.read",), "api.files.write", False),
        (("api.all.read",), "model.request", False),
        (("model.request",), "model.request", True),
    ],
)
def test_a_key_does_what_its_scopes_say(scopes: tuple[str, ...], needed: str, allowed: bool) -> None:
    assert allows(scopes, needed) is allowed


def test_scopes_that_do_not_exist_are_refused() -> None:
    with pytest.raises(InvalidRequest):
        checked(["api.files.read", "api.everything.write"])
