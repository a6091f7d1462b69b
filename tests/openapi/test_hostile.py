"""Hostile bodies for every route that reads JSON: bytes that are no sound JSON, and wrong values in every documented field.

What is refused is a 4xx in the envelope that names the field at fault, and leaves every table as it was.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import jsonschema

from tests.openapi.calls import call, refusal, url
from tests.openapi.document import Operation, Path, dotted, operations, replaced, within
from tests.openapi.filling import body, key_of
from tests.openapi.world import World

Json = dict[str, Any]

MEGABYTE = 1 << 20
UNSOUND = {
    "half": b'{"model": ',
    "text": b"model=tiny",
    "a list": b"[]",
    "a string": b'"x"',
    "null": b"null",
    "a number": b"1",
    "two values": b"{} {}",
    "a trailing comma": b'{"name": "x",}',
    "NaN": b'{"name": NaN, "seed": NaN}',
    "infinity": b'{"name": -Infinity}',
    "a float out of range": b'{"name": 1e999}',
    "an endless integer": b'{"name": ' + b"9" * 20_000 + b"}",
    "half a surrogate pair": b'{"name": "\\ud800"}',
    "half a surrogate pair as a key": b'{"\\udfff": 1}',
    "NUL": b'{"name": "\\u0000"}',
    "a raw NUL": b'{"name": "\x00"}',
    "a control character": b'{"name": "\x01"}',
    "no UTF-8": b'{"name": "\xff\xfe"}',
    "a field twice": b'{"name": "x", "name": "y"}',
    "a field twice within": b'{"method": {"type": "dpo", "type": "reinforcement"}}',
    "100,000 lists": b'{"name": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "100,000 objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "many brackets": b'{"name": [' + b"[]," * 300_000 + b"[]]}",
    "a megabyte of blanks": b" " * MEGABYTE + b"{",
}
KINDS = ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/xml", "nonsense", "")
WRONG: tuple[Any, ...] = (
    *(True, -1, 1.5, 2**63, -(2**70), 10**300, "", "x", "\x7f\x1b[2J\r\n"),
    *([], [None], [{}], {}, {"x": {"x": []}}, {"x" * 70_000: 1}, ["x"] * 5_000, None),
)


def reading_json(world: World) -> list[Operation]:
    return [operation for operation in operations(world.document) if operation.body is not None]


def test_bytes_that_are_no_sound_json_are_refused(world: World) -> None:
    before, asked = world.rows(), 0
    for operation in reading_json(world):
        with world.http(key_of(operation, world.first.key)) as http:
            http.headers["content-type"] = "application/json"
            for name, content in UNSOUND.items():
                reply = http.request(operation.method, _url(operation, world), content=content)
                refusal(reply)
                assert reply.status_code == 400, f"{operation.name} with {name}: {reply.text[:300]}"
                asked += 1
    assert asked > 500
    assert world.rows() == before


def test_other_kinds_of_content_are_refused(world: World) -> None:
    before = world.rows()
    for operation in reading_json(world):
        content = json.dumps(body(operation, world.first.ids)).encode()
        with world.http(key_of(operation, world.first.key)) as http:
            for kind in KINDS:
                http.headers["content-type"] = kind
                error = refusal(http.request(operation.method, _url(operation, world), content=content))
                assert error["code"] == "unsupported_content_type", f"{operation.name} as {kind}"
    assert world.rows() == before


def test_a_body_that_is_needed_and_missing_is_told(world: World) -> None:
    before = world.rows()
    for operation in operations(world.document):
        if operation.spec.get("requestBody", {}).get("required"):
            with world.http(key_of(operation, world.first.key)) as http:
                refusal(http.request(operation.method, _url(operation, world)))
    assert world.rows() == before


def wrong_values(operation: Operation, good: Json) -> Iterator[tuple[Path, Any]]:
    """Every documented field with every value that the document rules out for it."""
    document = {"components": operation.document["components"]}
    whole = jsonschema.Draft202012Validator({**(operation.body or {}), **document})
    for field in dict.fromkeys(path for path, _ in operation.leaves()):
        for value in (*WRONG, "x" * MEGABYTE) if len(field) == 1 else WRONG:
            if not whole.is_valid(replaced(good, field, value)):
                yield field, value


def test_wrong_values_are_refused_by_the_name_of_their_field(world: World) -> None:
    asked, failures = 0, []
    for operation in reading_json(world):
        if not operation.path.startswith("/v1/"):  # signing in to the pages is refused to all but them, whatever is sent
            continue
        before = world.rows()
        good = body(operation, world.first.ids)
        with world.http(key_of(operation, world.first.key)) as http:
            for field, value in wrong_values(operation, good):
                sent = replaced(good, field, value)
                reply = call(http, operation, world.first.ids | world.admin_ids, content=sent)
                param = refusal(reply)["param"]
                asked += 1
                if not _is_about(param, field, good):
                    failures.append(f"{operation.name}: {dotted(field)} = {repr(value)[:60]} -> {param}: {reply.text[:160]}")
        assert world.rows() == before, operation.name
    assert not failures, "\n".join(failures)
    assert asked > 1000


def _is_about(param: str | None, field: Path, good: Json) -> bool:
    """Whether an error names the field, something within it, or what encloses it.

    Where the good body has no parent for the field, one was made with nothing else in it, and the error may be about that.
    """
    try:
        within(good, field[:-1])
        name = dotted(field)
    except (LookupError, TypeError):
        name = str(field[0])
    return param is not None and (param.startswith(name) or name.startswith(param))


def _url(operation: Operation, world: World) -> str:
    return url(operation, world.first.ids | world.admin_ids)
