"""What its owner is shown is what the document tells: the ground on which the other suites stand."""

from __future__ import annotations

import jsonschema
import pytest

from tests.openapi.calls import call
from tests.openapi.document import Operation, operations
from tests.openapi.filling import key_of
from tests.openapi.world import World


def test_every_read_answers_its_owner_as_documented(world: World) -> None:
    for operation in operations(world.document):
        if operation.method == "GET" and operation.path.startswith("/v1/"):
            with world.http(key_of(operation, world.first.key)) as http:
                reply = call(http, operation, world.first.ids | world.admin_ids)
            assert reply.status_code == 200, f"{operation.name}: {reply.text}"
            media_type = reply.headers["content-type"].partition(";")[0]
            schema = operation.reply_schema(200, media_type)
            if media_type == "application/json":
                jsonschema.validate(reply.json(), schema)


@pytest.mark.parametrize(
    ("path", "stream"), [("/v1/chat/completions", False), ("/v1/chat/completions", True), ("/v1/responses", False)]
)
def test_answers_of_models_are_as_documented(world: World, path: str, stream: bool) -> None:
    (operation,) = (it for it in operations(world.document) if it.path == path)
    with world.http(world.first.key) as http:
        reply = call(http, operation, world.first.ids, places={("body", ("stream",)): stream})
    assert reply.status_code == 200, reply.text
    media_type = reply.headers["content-type"].partition(";")[0]
    schema = operation.reply_schema(200, media_type)
    if not stream:
        jsonschema.validate(reply.json(), schema)


def test_no_reply_is_left_undescribed(world: World) -> None:
    def described(operation: Operation) -> bool:
        contents = [it.get("content", {}) for status, it in operation.spec["responses"].items() if status.startswith("2")]
        return all(media.get("schema") for content in contents for media in content.values())

    assert [it.name for it in operations(world.document) if not described(it)] == []


def test_every_reference_of_the_document_leads_somewhere(world: World) -> None:
    schemas = world.document["components"]["schemas"]
    found: list[str] = []

    def walk(value: object) -> None:
        if isinstance(value, dict):
            found.extend([value["$ref"]] if isinstance(value.get("$ref"), str) else [])
            for inner in value.values():
                walk(inner)
        elif isinstance(value, list):
            for inner in value:
                walk(inner)

    walk(world.document)
    assert {name for name in found if name.removeprefix("#/components/schemas/") not in schemas} == set()
