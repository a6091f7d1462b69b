"""Which methods of the installed `openai` SDK this service answers: the table `docs/api-parity.md`.

    python -m tests.compat.parity > docs/api-parity.md

The SDK itself says what each method sends: it is called on a transport that records the request and answers nothing. A method is
answered where the service's OpenAPI document has that route. `PARTLY` holds what a route cannot tell.
"""

from __future__ import annotations

import contextlib
import inspect
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import httpx2
import openai
from openai._resource import SyncAPIResource

BASE_URL = "http://service/v1"

CLIENT_SIDE = {"webhooks.unwrap", "webhooks.verify_signature"}
"""Methods that ask no server: they check what this service signed."""

PARTLY: dict[str, str] = {
    "beta.responses.create": "answered as `responses.create` is; what is beta about it is ignored",
    "evals.list": "the evals that jobs make for themselves",
    "evals.retrieve": "the evals that jobs make for themselves",
    "evals.runs.list": "one run for each validation of a job",
    "evals.runs.retrieve": "one run for each validation of a job",
    "evals.runs.output_items.list": "the graded validation answers of a job",
    "evals.runs.output_items.retrieve": "the graded validation answers of a job",
}

NEEDED: dict[str, dict[str, Any]] = {
    "responses.stream": {"model": "x", "input": "x"},
    "uploads.upload_file_chunked": {"file": b"x", "filename": "x", "bytes": 1},
}
"""Arguments that a method cannot do without, whatever its signature says."""

UNANSWERED_LATER = {"vector_stores.files.upload", "vector_stores.files.upload_and_poll"}
"""Methods whose first request has a route, and whose second has none."""

REFUSED = {"evals.create", "evals.update", "evals.delete", "evals.runs.create", "evals.runs.delete"}
"""Methods whose route is there to say that this is not offered."""

HEADER = """# Which calls of the `openai` SDK work

Made from the SDK's own resource classes (`openai` {version}) and this service's OpenAPI document by `make parity`; a test checks
that it is fresh. `yes`: the call works unchanged. `partly`: it works as far as the note says. `no`: 404, or a 400 that says so.
What differs within a call that works is listed in [api-differences.md](api-differences.md).

| method | verdict | note |
|---|---|---|
"""


@dataclass(frozen=True)
class Verdict:
    """One line of the table."""

    method: str
    verdict: str
    note: str


class _Sent(BaseException):
    """Carries a request out of the SDK, past its retries."""

    def __init__(self, request: httpx2.Request) -> None:
        self.request = request


def verdicts(openapi: dict[str, Any]) -> list[Verdict]:
    """One verdict for each public method of the SDK's client, in the order of their names."""
    routes = _routes(openapi)
    return [Verdict(name, *_verdict(name, call, routes)) for name, call in sorted(_methods(_recording_client(), ""))]


def table(openapi: dict[str, Any]) -> str:
    """The page as Markdown."""
    lines = [f"| {verdict.method} | {verdict.verdict} | {verdict.note} |\n" for verdict in verdicts(openapi)]
    return HEADER.format(version=version("openai")) + "".join(lines)


def _routes(openapi: dict[str, Any]) -> list[tuple[str, re.Pattern[str]]]:
    """Method and pattern of the path of every route."""
    return [
        (method.upper(), re.compile(re.sub(r"\{[^}]+\}", "[^/]+", path)))
        for path, operations in openapi["paths"].items()
        for method in operations
    ]


def _verdict(name: str, call: Callable[..., Any], routes: list[tuple[str, re.Pattern[str]]]) -> tuple[str, str]:
    if name in CLIENT_SIDE:
        return "yes", "asks no server"
    request = None if name in UNANSWERED_LATER | REFUSED else _request_of(call, NEEDED.get(name, {}))
    if request is None or not any(request.method == method and path.fullmatch(request.url.path) for method, path in routes):
        return "no", ""
    return ("partly", PARTLY[name]) if name in PARTLY else ("yes", "")


def _recording_client() -> openai.OpenAI:
    def send(request: httpx2.Request) -> httpx2.Response:
        raise _Sent(request)

    http = httpx2.Client(transport=httpx2.MockTransport(send))
    return openai.OpenAI(api_key="key", admin_api_key="key", base_url=BASE_URL, http_client=http, max_retries=0)


def _methods(resource: Any, prefix: str) -> Iterator[tuple[str, Callable[..., Any]]]:
    """The public methods below a client or a resource, with dotted names."""
    for name in dir(type(resource)):
        attribute = inspect.getattr_static(type(resource), name)
        if name.startswith(("_", "with_")):
            continue
        if inspect.isfunction(attribute):
            if prefix:  # the client's own methods are no calls of the API
                yield prefix + name, getattr(resource, name)
        elif isinstance(child := getattr(resource, name, None), SyncAPIResource):
            yield from _methods(child, f"{prefix}{name}.")


def _request_of(call: Callable[..., Any], known: dict[str, Any]) -> httpx2.Request | None:
    """The first request that a method sends, called with one stand-in for each argument it needs."""
    needed = [
        parameter
        for parameter in inspect.signature(call).parameters.values()
        if parameter.default is inspect.Parameter.empty and parameter.kind is not inspect.Parameter.VAR_KEYWORD
    ]
    arguments = {parameter.name: _stand_in(parameter) for parameter in needed} | known
    try:
        # What a method makes of stand-ins once it has sent nothing is not our question, nor that it is deprecated.
        with contextlib.suppress(Exception), warnings.catch_warnings(action="ignore"):
            result = call(**arguments)
            if hasattr(result, "__enter__"):
                result.__enter__()
    except _Sent as sent:
        return sent.request
    return None


def _stand_in(parameter: inspect.Parameter) -> Any:
    annotation = str(parameter.annotation)
    if "FileTypes" in annotation or "PathLike" in annotation:
        return b"x"
    if annotation.startswith(("Iterable", "List", "SequenceNotStr")):
        return []
    return 1 if annotation in ("int", "float") else "x"


if __name__ == "__main__":
    from tests.compat.served import openapi_document

    sys.stdout.write(table(openapi_document()))
