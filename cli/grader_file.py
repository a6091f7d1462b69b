"""Graders in files of the user's: a JSON object, or the Python source of one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cli.client import CommandFailed

Json = dict[str, Any]


def read_grader(path: Path) -> Json:
    """The configuration in a JSON file; of a file `*.py` the python grader whose source it is. Raises `CommandFailed`."""
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".py":
            return {"type": "python", "name": path.stem, "source": text}
        grader = json.loads(text)
    except (OSError, ValueError) as error:
        raise CommandFailed(f"{path} is not JSON: {error}") from error
    if not isinstance(grader, dict):
        raise CommandFailed(f"{path} holds no grader: it is not a JSON object.")
    return grader
