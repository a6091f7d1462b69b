"""A job's files and wishes make a plan, or a reason that a user can act on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.db import Database
from core.errors import JobFailure
from core.files import FileStore
from core.ids import new_id
from core.jobs.types import Job, JobStatus
from core.jobs.validation import validate
from core.schema import migrate
from core.storage.local import LocalObjectStore
from core.tables import ProjectRow

ROW = json.dumps({"messages": [{"role": "user", "content": "Add 1 and 2."}], "answer": "3"}).encode() + b"\n"
PREFIX = "The job failed due to an invalid training file. "
FORMAT = f"{PREFIX}Invalid file format. "


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    url = f"sqlite:///{tmp_path_factory.mktemp('db') / 'jobs.db'}"
    migrate(url)
    database = Database(url)
    yield database
    database.dispose()


@pytest.fixture
def files(database: Database, tmp_path: Path) -> FileStore:
    project_id = new_id("proj_")
    with database.begin() as session:
        session.add(ProjectRow(project_id=project_id, name="Test", created_at=0.0))
    return FileStore(database, LocalObjectStore(tmp_path / "objects"), project_id, max_bytes=1 << 30)


def upload(files: FileStore, *chunks: bytes) -> str:
    return files.create("data.jsonl", "fine-tune", chunks).id


def make_job(training_file: str, validation_file: str | None = None, touchstone: Any = None, **hyperparameters: Any) -> Job:
    request = {
        "training_file": training_file,
        "validation_file": validation_file,
        "method": {"type": "reinforcement", "reinforcement": {"grader": {}, "hyperparameters": hyperparameters or None}},
        "touchstone": touchstone,
    }
    return Job(
        id="ftjob-1",
        project_id="proj",
        created_at=0.0,
        status=JobStatus.VALIDATING_FILES,
        request=request,
        base_model="base",
        seed=1,
        plan=None,
        step=0,
        trained_tokens=0,
        train_seconds=0.0,
        usage={},
        fine_tuned_model=None,
        result_files=(),
        error=None,
        started_at=None,
        finished_at=None,
        estimated_finish=None,
        lease_epoch=0,
        attempts=0,
    )


def failure(job: Job, files: FileStore) -> JobFailure:
    with pytest.raises(JobFailure) as caught:
        validate(job, files)
    return caught.value


def test_three_rows_each_make_a_plan(files: FileStore) -> None:
    plan = validate(make_job(upload(files, ROW * 3), upload(files, ROW * 3)), files)
    assert (plan.train_rows, plan.valid_rows, plan.batch_size) == (3, 3, 3)


def test_a_validation_file_may_be_left_out(files: FileStore) -> None:
    assert validate(make_job(upload(files, ROW)), files).valid_rows == 0


def test_a_byte_order_mark_is_accepted(files: FileStore) -> None:
    assert validate(make_job(upload(files, b"\xef\xbb\xbf" + ROW)), files).train_rows == 1


def test_wishes_reach_the_plan(files: FileStore) -> None:
    plan = validate(make_job(upload(files, ROW * 9), touchstone={"samples_per_prompt": 4}, batch_size=2), files)
    assert (plan.batch_size, plan.samples_per_prompt) == (2, 4)


FAULTS = {
    "broken JSON": (ROW + b"{broken\n", "Example 2: the line is not valid JSON"),
    "no messages": (b'{"prompt":"x"}\n', "Example 1: 'messages' is missing."),
    "last role": (ROW.replace(b"user", b"assistant"), "Example 1: the last message must have the role 'user', not 'assistant'."),
    "invalid UTF-8": (ROW.replace(b"Add", b"\xff\xfe"), "Example 1: the line is not valid UTF-8"),
    "empty": (b"", "The file is empty."),
    "nesting": (b'{"messages":' + b"[" * 100_000, "Example 1: the line is nested more than 64 levels deep."),
    "NaN": (ROW.replace(b'"3"', b"NaN"), "Example 1: NaN is not valid JSON."),
    "repeated key": (ROW.replace(b"answer", b"messages"), "Example 1: the key 'messages' stands twice in one object."),
    "long line": (ROW.replace(b"Add", b"x" * (1 << 20)), "Example 1: the line is longer than 1048576 bytes."),
    "blank line": (ROW + b"\n" + ROW, "Example 2: the line is blank."),
    "not JSON at all": (b"\x1f\x8b\x08\x00" + bytes(range(256)), "Example 1: the line holds a NUL byte."),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_bad_training_file_fails_the_job_by_name_and_line(files: FileStore, fault: str) -> None:
    raw, message = FAULTS[fault]
    error = failure(make_job(upload(files, raw)), files)
    assert (error.code, error.param) == ("invalid_training_file", "training_file")
    assert error.message.startswith(FORMAT + message)


def test_a_bad_validation_file_is_told_apart(files: FileStore) -> None:
    error = failure(make_job(upload(files, ROW), upload(files, b"{}\n")), files)
    assert (error.code, error.param, error.message) == (
        "invalid_validation_file",
        "validation_file",
        "The job failed due to an invalid validation file. Invalid file format. Example 1: 'messages' is missing.",
    )


def test_the_first_twenty_bad_lines_are_told(files: FileStore) -> None:
    message = failure(make_job(upload(files, b"{}\n" * 30)), files).message
    assert ("Example 20:" in message, "Example 21:" in message) == (True, False)


def test_too_many_training_rows_are_told(files: FileStore) -> None:
    error = failure(make_job(upload(files, *[ROW * 1000] * 50, ROW)), files)
    assert error.message == FORMAT + "Example 50001: the file has more than 50,000 rows."


def test_too_many_validation_rows_are_told(files: FileStore) -> None:
    error = failure(make_job(upload(files, ROW), upload(files, ROW * 1001)), files)
    assert error.message.endswith("Example 1001: the file has more than 1,000 rows.")


def test_a_file_deleted_meanwhile_fails_the_job(files: FileStore) -> None:
    file_id = upload(files, ROW)
    files.delete(file_id)
    error = failure(make_job(file_id), files)
    assert (error.code, error.message) == ("invalid_training_file", f"{PREFIX}The file {file_id} does not exist any more.")


@pytest.mark.parametrize(("touchstone", "name"), [({"unknown": 1}, "unknown"), ({"temperature": 9}, "temperature"), ("text", "")])
def test_options_that_mean_nothing_fail_the_job(files: FileStore, touchstone: Any, name: str) -> None:
    error = failure(make_job(upload(files, ROW), touchstone=touchstone), files)
    assert (error.code, error.param) == ("invalid_hyperparameters", name)
