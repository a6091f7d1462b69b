"""What replies hold, for the OpenAPI document: what the objects of all nouns have in common.

Each noun declares its own beside its wire shapes, in `api/<noun>/objects.py`. Replies are built by the functions of `schemas.py`
and not checked against these models while serving; the contract tests do that.
"""

from __future__ import annotations

from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict

T = TypeVar("T")
Json = dict[str, Any]
Responses = dict[int | str, dict[str, Any]]


class Reply(BaseModel):
    """An object of a reply: every field is always there, and no other."""

    model_config = ConfigDict(extra="forbid")


class OpenReply(BaseModel):
    """An object that holds more than the document tells."""

    model_config = ConfigDict(extra="allow")


class ListOf(Reply, Generic[T]):
    """One page of a list."""

    object: Literal["list"]
    data: list[T]
    has_more: bool


class ListWithEnds(ListOf[T], Generic[T]):
    """One page of a list, with the ids of its first and last member."""

    first_id: str | None
    last_id: str | None


class Deleted(Reply):
    """What was deleted."""

    id: str
    object: str
    deleted: Literal[True]


class ErrorObject(Reply):
    """What went wrong."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorReply(Reply):
    """The envelope of every error."""

    error: ErrorObject


_TEXT = {"type": "string"}
_EVENT = {"type": "object", "properties": {"event": _TEXT, "id": _TEXT, "data": _TEXT}}

EVENTS_TOO: Responses = {200: {"content": {"text/event-stream": {"schema": _EVENT}}}}
"""A 200 that comes as server-sent events, always or where the body asks for a stream."""


def download(media_type: str, *statuses: int) -> Responses:
    """Replies of bytes."""
    content = {media_type: {"schema": {"type": "string", "format": "binary"}}}
    return {status: {"description": "The bytes", "content": content} for status in statuses}
