"""What a line of the log or a span belongs to: the request, its project, the job and the epoch of its lease."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

FIELDS = ("request_id", "project_id", "job_id", "epoch")

_NOTHING: Mapping[str, str | int] = {}
_of_process: dict[str, str | int] = {}
_bound: ContextVar[Mapping[str, str | int]] = ContextVar("rft_context", default=_NOTHING)


def of_process(**fields: str | int) -> None:
    """Fields of everything that this process does, in all its threads: a runner belongs to one job."""
    _of_process.update(fields)


def bind(**fields: str | int) -> None:
    """Fields from here to the end of the task or thread, and in what it starts; an ASGI server gives each request a task."""
    _bound.set({**_bound.get(), **fields})


@contextmanager
def bound(**fields: str | int) -> Iterator[None]:
    """Fields of the block."""
    token = _bound.set({**_bound.get(), **fields})
    try:
        yield
    finally:
        _bound.reset(token)


def current() -> Mapping[str, str | int]:
    """The fields that hold here."""
    return {**_of_process, **_bound.get()}
