"""Wire shapes of files."""

from __future__ import annotations

from typing import Any

from core.datasets.check import Report
from core.datasets.read import Problem, Row
from core.files import File

Json = dict[str, Any]

PURPOSES = ("assistants", "batch", "fine-tune", "vision", "user_data", "evals")
"""What a client may upload for. Only `fine-tune` means something to this service."""
MIN_EXPIRY_SECONDS = 3600
MAX_EXPIRY_SECONDS = 30 * 24 * 3600


def file_object(file: File) -> Json:
    """A file as clients see it. Its content is checked by the job that uses it, so every kept file is `processed`."""
    return {
        "id": file.id,
        "object": "file",
        "bytes": file.bytes,
        "created_at": int(file.created_at),
        "expires_at": None if file.expires_at is None else int(file.expires_at),
        "filename": file.filename,
        "purpose": file.purpose,
        "status": "processed",
        "status_details": None,
    }


def check_object(file_id: str, report: Report) -> Json:
    """What checking a file as a dataset found."""
    problems = [{"line": problem.line, "message": problem.message} for problem in report.problems]
    return {"object": "file.check", "file_id": file_id, "usable": not problems, "rows": report.rows, "problems": problems}


def row_object(place: int, found: Row | Problem) -> Json:
    """A line of a file, `place` counted from 0."""
    value, problem = (found.value, None) if isinstance(found, Row) else (None, found.message)
    return {"object": "file.row", "row": place, "line": found.line, "value": value, "problem": problem}
