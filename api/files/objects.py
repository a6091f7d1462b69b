"""What replies about files hold, for the OpenAPI document."""

from __future__ import annotations

from typing import Literal

from api.objects import Json, Reply


class FileObject(Reply):
    """A file, as `file_object` builds it."""

    id: str
    object: Literal["file"]
    bytes: int
    created_at: int
    expires_at: int | None
    filename: str
    purpose: str
    status: Literal["processed"]
    status_details: None


class FileProblem(Reply):
    """What is wrong with a line, counted from 1, or with the whole file."""

    line: int | None
    message: str


class FileCheck(Reply):
    """Whether a job can use a file, as `check_object` builds it."""

    object: Literal["file.check"]
    file_id: str
    usable: bool
    rows: int
    problems: list[FileProblem]


class FileRow(Reply):
    """A line of a file: its value, or what is wrong with it."""

    object: Literal["file.row"]
    row: int
    line: int | None
    value: Json | None
    problem: str | None
