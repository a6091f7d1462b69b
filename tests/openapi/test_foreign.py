"""The matrix of foreign objects, generated from the document: every route by every field that names an object.

A foreign id is answered as an id that does not exist: the same status, the same words. Nothing of it is shown, nothing changes.
A field that nobody has decided about fails here: `filling.py` is where that is done.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx2
import pytest

from tests.openapi.calls import call, refusal
from tests.openapi.document import Operation, Path, dotted, holds_text, operations
from tests.openapi.filling import CURSORS, FREE_BODIES, FREE_FIELDS, FREE_PARAMETERS, PATHS, key_of, kinds
from tests.openapi.world import Ids, World

Place = tuple[str, Path]

NOT_TENANTS = ("project", "admin_key")
"""Kinds that are the organization's own: every administrator may name all of them."""
ANYTHING = ("/livez", "/readyz", "/dashboard/session", "/v1/webhook_event_types")
REPLIES_OF_NONE = ("x-request-id", "openai-processing-ms", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests", "date")
"""Headers that differ between any two replies."""


def unknown(known: str) -> str:
    """An id of the same form that names nothing: its longest run of letters and digits reversed."""
    longest = max(re.findall(r"[A-Za-z0-9]+", known), key=len)
    return known.replace(longest, longest[::-1])


def places(operation: Operation) -> list[tuple[Place, str]]:
    found = kinds(operation)
    return [(place, kind) for place, kind in found.items() if kind not in NOT_TENANTS]


def said(reply: httpx2.Response, wrong: Ids) -> tuple[object, ...]:
    """What a refusal tells, but for the ids that the client itself sent."""
    text = str(refusal(reply))
    for value in wrong.values():
        text = text.replace(value, "ID")
    headers = {name: value for name, value in reply.headers.items() if name not in (*REPLIES_OF_NONE, "content-length")}
    return reply.status_code, text, headers


def test_every_field_that_may_name_an_object_is_decided(world: World) -> None:
    undecided = [f"{operation.name}: {field}" for operation in operations(world.document) for field in _undecided(operation)]
    assert undecided == []


def _undecided(operation: Operation) -> Iterator[str]:
    yield from (name for name in operation.parameters("path") if name not in PATHS)
    for name, schema in operation.parameters("query").items():
        decided = (name == "after" and operation.path in CURSORS) or (operation.name, name) in FREE_PARAMETERS
        if holds_text(schema, operation.document) and not decided:
            yield name
    known = kinds(operation)
    for path, schema in operation.leaves():
        names = [step for step in path if isinstance(step, str)]
        decided = ("body", path) in known or names[-1] in FREE_FIELDS or (operation.name, path) in FREE_BODIES
        if holds_text(schema, operation.document) and not decided:
            yield dotted(path)


def test_a_foreign_id_is_answered_as_one_that_does_not_exist(world: World) -> None:
    before, asked = world.rows(), 0
    own, foreign = world.second.ids | world.admin_ids, world.first.ids
    for operation in operations(world.document):
        with world.http(key_of(operation, world.second.key)) as http:
            for place, kind in places(operation):
                replies = {}
                for name, value in (("foreign", foreign[kind]), ("unknown", unknown(foreign[kind]))):
                    reply = call(http, operation, own, places={place: value})
                    replies[name] = said(reply, {"id": value})
                assert replies["foreign"] == replies["unknown"], f"{operation.name} with a foreign {dotted(place[1])}"
                assert replies["foreign"][0] in (400, 404)
                asked += 1
    assert asked > 60
    assert world.rows() == before


def test_a_request_all_of_foreign_ids_is_answered_as_one_of_unknown_ids(world: World) -> None:
    before = world.rows()
    foreign = world.first.ids
    for operation in operations(world.document):
        fields = places(operation)
        if not any(where == "path" for (where, _), _ in fields) or operation.is_administrators:
            continue
        with world.http(world.second.key) as http:
            theirs = {kind: foreign[kind] for _, kind in fields}
            nobodys = {kind: unknown(value) for kind, value in theirs.items()}
            replies = [
                said(call(http, operation, world.second.ids | ids, places={place: ids[kind] for place, kind in fields}), ids)
                for ids in (theirs, nobodys)
            ]
        assert replies[0] == replies[1], operation.name
        assert replies[0][0] in (400, 404)
    assert world.rows() == before


def test_no_list_shows_what_is_foreign(world: World) -> None:
    shared = set(world.first.ids.values()) & set(world.second.ids.values())
    hidden = set(world.first.ids.values()) - shared
    read = 0
    for operation in operations(world.document):
        if operation.method != "GET" or operation.is_administrators or operation.path.startswith("/dashboard"):
            continue
        with world.http(world.second.key) as http:
            reply = call(http, operation, world.second.ids)
        assert reply.status_code == 200, f"{operation.name}: {reply.text}"
        assert [value for value in hidden if value in reply.text] == [], operation.name
        read += 1
    assert read > 20


@pytest.mark.parametrize("tenant", ["first", "second"])
def test_a_tenants_key_opens_no_administrators_route(world: World, tenant: str) -> None:
    before = world.rows()
    owner = getattr(world, tenant)
    with world.http(owner.key) as http:
        for operation in operations(world.document):
            if operation.is_administrators:
                reply = call(http, operation, owner.ids | world.admin_ids)
                assert (reply.status_code, refusal(reply)["code"]) == (403, "insufficient_permissions"), operation.name
    assert world.rows() == before


def test_without_a_key_nothing_is_told(world: World) -> None:
    before = world.rows()
    with world.http(None) as http:
        for operation in operations(world.document):
            if operation.path not in ANYTHING and operation.path.startswith("/v1/"):
                reply = call(http, operation, world.first.ids | world.admin_ids)
                assert reply.status_code == 401, operation.name
                refusal(reply)
    assert world.rows() == before


def test_a_create_named_as_another_projects_makes_an_object_of_its_own(world: World) -> None:
    replies = []
    for tenant in (world.first, world.second):
        with world.http(tenant.key) as http:
            (operation,) = (it for it in operations(world.document) if it.name == "POST /v1/fine_tuning/jobs")
            http.headers["idempotency-key"] = "the same"
            replies.append(call(http, operation, tenant.ids).json())
    assert replies[0]["id"] != replies[1]["id"]
    assert [reply["training_file"] for reply in replies] == [world.first.ids["file"], world.second.ids["file"]]
