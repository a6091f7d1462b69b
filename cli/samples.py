"""Samples to grade, from a file of the user's, and their grades, into one."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli.client import CommandFailed
from core.datasets.read import Problem, read_lines

Json = dict[str, Any]

_TEXT = "output_text"


@dataclass(frozen=True)
class GivenSample:
    """A completion and the row that it answers."""

    text: str
    item: Json


@dataclass(frozen=True)
class Graded:
    """What the service said of one sample. `reward` is None where it has no grade, and `errors` says why, by kind."""

    reward: float | None
    sub_rewards: dict[str, float | None]
    errors: dict[str, str]
    seconds: float
    tokens: dict[str, int]
    """By judge."""


def read_samples(path: Path) -> list[GivenSample]:
    """One sample a line of JSON Lines. Raises `CommandFailed` naming the first line that is none.

    The completion is `sample`, a text or an object with `output_text`, or else `output_text` at the top. The row is `item`, or
    else all other fields.
    """
    samples = []
    with path.open("rb") as file:
        for found in read_lines(file):
            if isinstance(found, Problem):
                raise CommandFailed(f"{path}: {found}")
            samples.append(_sample(found.value, f"{path}: Line {found.line}"))
    if not samples:
        raise CommandFailed(f"{path} holds no samples.")
    return samples


def _sample(row: Json, where: str) -> GivenSample:
    given = row.get("sample", row)
    text = given.get(_TEXT) if isinstance(given, dict) else given
    if not isinstance(text, str):
        raise CommandFailed(f"{where}: no completion: expected 'sample' or '{_TEXT}' with a text.")
    item = row.get("item", {name: value for name, value in row.items() if name not in ("sample", _TEXT)})
    if not isinstance(item, dict):
        raise CommandFailed(f"{where}: 'item' must be an object.")
    return GivenSample(text, item)


def write_grades(path: Path, grades: Sequence[Graded]) -> None:
    """One line a sample in the order of the samples: CSV where the file is called so, else JSON Lines."""
    rows = [{"line": line, **_row(grade)} for line, grade in enumerate(grades, 1)]
    with path.open("w", encoding="utf-8", newline="") as file:
        if path.suffix == ".csv":
            _write_csv(file, rows)
        else:
            file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _row(grade: Graded) -> Json:
    return {
        "reward": grade.reward,
        "sub_rewards": grade.sub_rewards,
        "errors": grade.errors,
        "seconds": grade.seconds,
        "tokens": grade.tokens,
    }


def _write_csv(file: Any, rows: Sequence[Json]) -> None:
    """Members of a multi grader have a column each; of several errors all kinds stand in one cell, and of texts the first."""
    members = sorted({name for row in rows for name in row["sub_rewards"]})
    table = csv.writer(file)
    table.writerow(["line", "reward", *(f"sub_rewards.{name}" for name in members), "errors", "details", "seconds", "tokens"])
    for row in rows:
        parts = [row["sub_rewards"].get(name) for name in members]
        details = next(iter(row["errors"].values()), "")
        spent = sum(row["tokens"].values())
        table.writerow([row["line"], row["reward"], *parts, " ".join(row["errors"]), details, row["seconds"], spent])
