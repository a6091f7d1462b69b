"""Requests made from the document, and what every refusal has to be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import httpx2

from tests.openapi.document import Operation, Path, replaced
from tests.openapi.filling import body, path_kind

Json = dict[str, Any]

REQUIRED_QUERY = {"step": "4", "start_time": "0"}
"""Parameters of queries without which nothing is answered."""


def call(
    http: httpx2.Client,
    operation: Operation,
    ids: Mapping[str, str],
    *,
    places: Mapping[tuple[str, Path], str] | None = None,
    content: Any = None,
) -> httpx2.Response:
    """Call the operation with these ids in its path and body; `places` puts other values where they stand.

    `content` is a JSON body to send in place of the good one.
    """
    values = dict(places or {})
    in_path = {name: values.pop(("path", (name,)), None) for name in operation.parameters("path")}
    path = url(operation, ids, {name: value for name, value in in_path.items() if value is not None})
    query = {name: REQUIRED_QUERY[name] for name in operation.parameters("query") if name in REQUIRED_QUERY}
    sent = content if content is not None or operation.body is None else body(operation, ids)
    for (where, place), value in values.items():
        if where == "query":
            query[str(place[0])] = value
        else:
            sent = replaced(sent, place, value)
    more = {"files": {"data": ("part", b"x"), "file": ("x.jsonl", b"{}\n")}} if _is_form(operation) else {"json": sent}
    return http.request(operation.method, path, params=query, **(more if operation.method == "POST" else {}))


def url(operation: Operation, ids: Mapping[str, str], others: Mapping[str, str] | None = None) -> str:
    """The operation's path with ids filled in, `others` by the names of their parameters."""
    path = operation.path
    for name in operation.parameters("path"):
        path = path.replace(f"{{{name}}}", quote((others or {}).get(name) or ids[path_kind(operation, name)], safe=""))
    return path


def _is_form(operation: Operation) -> bool:
    return "multipart/form-data" in operation.spec.get("requestBody", {}).get("content", {})


def refusal(reply: httpx2.Response) -> Json:
    """The error of a reply, which has to be a 4xx in the envelope."""
    assert 400 <= reply.status_code < 500, f"{reply.status_code}: {reply.text[:500]}"
    assert reply.headers["content-type"] == "application/json"
    value = reply.json()
    assert set(value) == {"error"}
    assert set(value["error"]) == {"message", "type", "param", "code"}
    assert value["error"]["message"]
    return value["error"]
