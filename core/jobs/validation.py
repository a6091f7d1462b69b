"""From a new job's files and wishes to its plan, or to the reason why it cannot run."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import ValidationError

from core.datasets.check import MAX_TRAINING_ROWS, MAX_VALIDATION_ROWS, check_rows
from core.datasets.read import Problem
from core.errors import JobFailure, NotFound
from core.files import FileStore
from core.jobs.plan import Hyperparameters, Options, Plan, resolve
from core.jobs.types import Job


def validate(job: Job, files: FileStore) -> Plan:
    """Check both files and resolve the job's hyperparameters. `files` are those of the job's project.

    Raises `JobFailure` with the code `invalid_training_file`, `invalid_validation_file` or `invalid_hyperparameters`.
    """
    train_rows = _count(files, job.training_file, "training", MAX_TRAINING_ROWS)
    valid_rows = _count(files, job.validation_file, "validation", MAX_VALIDATION_ROWS) if job.validation_file else 0
    try:
        hyperparameters = Hyperparameters.model_validate(job.reinforcement.get("hyperparameters") or {})
        options = Options.model_validate(job.request.get("touchstone") or {})
    except ValidationError as error:
        name = "".join(str(part) for part in error.errors()[0]["loc"][:1])
        raise JobFailure(f"Invalid value for '{name}'.", param=name, code="invalid_hyperparameters") from None
    return resolve(hyperparameters, options, train_rows=train_rows, valid_rows=valid_rows)


def _count(files: FileStore, file_id: str, kind: str, max_rows: int) -> int:
    """The number of rows of a good file."""
    try:
        with files.open(file_id) as stream:
            report = check_rows(stream, max_rows)
    except NotFound:
        raise _failure(kind, f"The file {file_id} does not exist any more.") from None
    if report.problems:
        raise _failure(kind, _summary(report.problems))
    return report.rows


def _failure(kind: str, text: str) -> JobFailure:
    message = f"The job failed due to an invalid {kind} file. {text}"
    return JobFailure(message, param=f"{kind}_file", code=f"invalid_{kind}_file")


def _summary(problems: Sequence[Problem]) -> str:
    """OpenAI's words, with which scripts tell a bad file from other failures. An example is a line of the file."""
    return f"Invalid file format. {' '.join(_sentence(problem) for problem in problems)}"


def _sentence(problem: Problem) -> str:
    text = problem.message if problem.line is None else f"Example {problem.line}: {problem.message}"
    return text if text.endswith(".") else f"{text}."
