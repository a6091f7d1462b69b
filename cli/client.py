"""The connection to a service: an unmodified `openai` client, and the two flags that choose where it talks to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import httpx2 as httpx
import openai
import typer

Json = dict[str, Any]

DEFAULT_BASE_URL = "http://127.0.0.1:8000/v1"

BaseUrl = Annotated[
    str,
    typer.Option("--base-url", envvar="OPENAI_BASE_URL", help="Where the service answers."),
]
ApiKey = Annotated[str, typer.Option("--api-key", envvar=["OPENAI_API_KEY", "RFT_API_KEY"], help="Made by `rft keys create`.")]


class CommandFailed(Exception):
    """Ends a command with one line on standard error and exit code 1."""


@contextmanager
def service(base_url: str, api_key: str) -> Iterator[openai.OpenAI]:
    """A client of the service at `base_url`; what it raises becomes `CommandFailed` with the service's own message."""
    if not api_key:
        raise CommandFailed("No API key: set OPENAI_API_KEY or pass --api-key. `rft keys create` makes one.")
    try:
        with openai.OpenAI(base_url=base_url, api_key=api_key) as client:
            yield client
    except openai.APIConnectionError as error:
        url = error.request.url
        raise CommandFailed(f"Cannot reach {url.scheme}://{url.netloc.decode()}: is the service running?") from error
    except openai.APIStatusError as error:
        raise CommandFailed(message_of(error.body) or f"The service answered with status {error.status_code}.") from error
    except openai.OpenAIError as error:
        raise CommandFailed(str(error)) from error


def get(client: openai.OpenAI, path: str, *, params: Json | None = None, etag: str | None = None) -> httpx.Response | None:
    """One of the routes that OpenAI's client does not know; None where nothing has changed since `etag`."""
    headers = {"If-None-Match": etag} if etag else {}
    try:
        return client.get(path, cast_to=httpx.Response, options={"params": params or {}, "headers": headers})
    except openai.APIStatusError as error:
        if error.status_code == httpx.codes.NOT_MODIFIED:
            return None
        raise


def message_of(body: object) -> str | None:
    """The message of an error's body, which the client may have taken out of its envelope."""
    error = body.get("error", body) if isinstance(body, dict) else None
    message = error.get("message") if isinstance(error, dict) else None
    return str(message) if message else None
