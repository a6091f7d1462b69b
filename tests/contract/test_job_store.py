"""`JobStore` on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import select

from core.errors import InvalidRequest, NotFound, WrongState
from core.jobs.base import JobStore
from core.jobs.sql_store import SqlJobStore
from core.jobs.types import JobCommand, JobStatus, Page
from core.tables import OutboxRow

from .parts import FOREIGN_PROJECT, PLAN, Parts, batch, new_checkpoint, new_job, step


def owed(parts: Parts) -> list[tuple[str, dict[str, str]]]:
    with parts.database.read() as session:
        return [(row.topic, row.payload) for row in session.scalars(select(OutboxRow).order_by(OutboxRow.id))]


def test_implements_the_protocol(parts: Parts) -> None:
    store: JobStore = parts.store
    assert store.list(after=None, limit=1, metadata=None).data == ()


def test_created_job_comes_back_as_asked(parts: Parts) -> None:
    job = parts.created(metadata={"team": "a"}, unknown=[1, None])
    assert job == parts.store.get(job.id)
    assert job.id.startswith("ftjob-")
    assert job.created_at == parts.clock.seconds
    assert job.status is JobStatus.VALIDATING_FILES
    assert job.request["unknown"] == [1, None]
    assert (job.seed, job.base_model, job.training_file, job.validation_file) == (7, "tiny", "file-A", "file-B")
    assert (job.plan, job.step, job.result_files, job.error, job.lease_epoch) == (None, 0, (), None, 0)


def test_creation_tells_and_owes(parts: Parts) -> None:
    job = parts.created()
    assert parts.messages(job.id) == [
        f"Created fine-tuning job: {job.id}",
        "Validating training file: file-A and validation file: file-B",
    ]
    assert parts.events.since(job.id, 0, 1)[0].data == {}
    assert owed(parts) == [("job.validate", {"job_id": job.id})]


def test_creation_without_validation_file_names_one_file(parts: Parts) -> None:
    job = parts.created(validation_file=None)
    assert parts.messages(job.id)[1] == "Validating training file: file-A"


def test_request_may_hold_any_text(parts: Parts) -> None:
    job = parts.created(text="\x00 \ud800 \N{PILE OF POO}")
    assert parts.store.get(job.id).request["text"] == "\x00 \ud800 \N{PILE OF POO}"


def test_jobs_are_listed_newest_first_in_pages(parts: Parts) -> None:
    ids = [parts.created().id for _ in range(5)][::-1]
    seen: list[str] = []
    after = None
    more = True
    while more:
        page = parts.store.list(after=after, limit=2, metadata=None)
        seen += [job.id for job in page.data]
        after, more = seen[-1], page.has_more
    assert seen == ids


def test_jobs_of_one_moment_are_listed_once_each(parts: Parts) -> None:
    ids = {parts.store.create(new_job()).id for _ in range(5)}
    seen: list[str] = []
    for _ in range(5):
        seen += [job.id for job in parts.store.list(after=seen[-1] if seen else None, limit=1, metadata=None).data]
    assert (set(seen), len(seen)) == (ids, 5)


@pytest.mark.parametrize("key", ["team", 'a"b', "$.[0]", "a.b", "{,}", ""])
def test_metadata_filter_finds_equal_pairs(parts: Parts, key: str) -> None:
    wanted = parts.created(metadata={key: "red", "other": "x"}, text="\x00")
    for metadata in ({key: "blue"}, {}, None, {f"{key}2": "red"}):
        parts.created(metadata=metadata)
    parts.created()
    page = parts.store.list(after=None, limit=10, metadata={key: "red"})
    assert [job.id for job in page.data] == [wanted.id]


def test_metadata_filter_wants_all_pairs(parts: Parts) -> None:
    parts.created(metadata={"a": "1"})
    both = parts.created(metadata={"a": "1", "b": "2"})
    page = parts.store.list(after=None, limit=10, metadata={"a": "1", "b": "2"})
    assert [job.id for job in page.data] == [both.id]


def test_metadata_filter_is_paged(parts: Parts) -> None:
    ids = [parts.created(metadata={"a": str(number % 2)}).id for number in range(6)]
    first = parts.store.list(after=None, limit=2, metadata={"a": "0"})
    second = parts.store.list(after=first.data[-1].id, limit=2, metadata={"a": "0"})
    assert [job.id for job in (*first.data, *second.data)] == [ids[4], ids[2], ids[0]]
    assert (first.has_more, second.has_more) == (True, False)


def test_null_metadata_can_be_asked_for(parts: Parts) -> None:
    ids = [parts.created(**body).id for body in ({}, {"metadata": None})]
    parts.created(metadata={})
    parts.created(metadata={"a": "1"})
    page = parts.store.list(after=None, limit=10, metadata=None, without_metadata=True)
    assert [job.id for job in page.data] == ids[::-1]


def test_metadata_filter_ends_where_the_jobs_end(parts: Parts) -> None:
    ids = [parts.created(metadata={"a": "1"}).id for _ in range(2)]
    assert parts.store.list(after=ids[0], limit=2, metadata={"a": "1"}) == Page((), has_more=False)


def test_foreign_metadata_is_not_found(parts: Parts) -> None:
    parts.created(metadata={"a": "1"})
    assert _foreign(parts).list(after=None, limit=10, metadata={"a": "1"}).data == ()


def test_warnings_follow_the_first_events(parts: Parts) -> None:
    job = parts.store.create(replace(new_job(), warnings=("Mind this.",)))
    event = parts.events.list(job.id, after=None, limit=1).data[0]
    assert (event.level, event.message) == ("warn", "Mind this.")


def test_unknown_cursor_of_jobs_is_refused(parts: Parts) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parts.store.list(after="ftjob-none", limit=1, metadata=None)
    assert (caught.value.status, caught.value.param) == (400, "after")


def test_foreign_cursor_of_jobs_is_refused(parts: Parts) -> None:
    job = parts.created()
    with pytest.raises(InvalidRequest):
        _foreign(parts).list(after=job.id, limit=1, metadata=None)


def test_foreign_jobs_are_not_listed(parts: Parts) -> None:
    parts.created()
    assert _foreign(parts).list(after=None, limit=10, metadata=None).data == ()


METHODS: dict[str, Callable[[JobStore, str], object]] = {
    "get": lambda store, job_id: store.get(job_id),
    "command": lambda store, job_id: store.command(job_id, JobCommand.CANCEL),
    "checkpoints": lambda store, job_id: store.checkpoints(job_id, after=None, limit=1),
    "steps": lambda store, job_id: store.steps(job_id, after_step=-1),
    "batches": lambda store, job_id: store.batches(job_id, step=1, split=None),
}


@pytest.mark.parametrize("method", METHODS)
def test_foreign_job_is_unknown(parts: Parts, method: str) -> None:
    job = parts.created()
    with pytest.raises(NotFound) as caught:
        METHODS[method](_foreign(parts), job.id)
    assert caught.value.message == f"Could not find fine tune: {job.id}"
    assert (caught.value.param, caught.value.code) == ("fine_tune_id", "fine_tune_not_found")
    assert parts.store.get(job.id) == job


@pytest.mark.parametrize("method", METHODS)
def test_unknown_job_is_not_found(parts: Parts, method: str) -> None:
    with pytest.raises(NotFound):
        METHODS[method](parts.store, "ftjob-none")


def test_pause_answers_at_once_and_leaves_the_lease(parts: Parts) -> None:
    lease, _ = parts.running()
    job = parts.store.command(lease.job_id, JobCommand.PAUSE)
    assert job.status is JobStatus.PAUSED
    assert parts.leases.job(lease).status is JobStatus.PAUSED
    assert parts.messages(job.id)[-1] == "Fine-tuning job paused"


def test_resume_queues_and_owes_a_dispatch(parts: Parts) -> None:
    job = parts.queued()
    parts.store.command(job.id, JobCommand.PAUSE)
    assert parts.store.command(job.id, JobCommand.RESUME).status is JobStatus.QUEUED
    assert owed(parts)[-1] == ("job.dispatch", {"job_id": job.id})
    assert parts.messages(job.id)[-1] == "Fine-tuning job resumed, moving job to queued state"


def test_cancel_fences_the_runner_out(parts: Parts) -> None:
    lease, _ = parts.running()
    job = parts.store.command(lease.job_id, JobCommand.CANCEL)
    assert (job.status, job.lease_epoch) == (JobStatus.CANCELLED, lease.epoch + 1)
    assert job.finished_at == parts.clock.seconds
    assert parts.messages(job.id)[-1] == "Fine-tuning job cancelled"


def test_cancel_owes_a_webhook(parts: Parts) -> None:
    job = parts.created()
    parts.store.command(job.id, JobCommand.CANCEL)
    assert owed(parts)[-1] == ("webhook", {"type": "fine_tuning.job.cancelled", "job_id": job.id})


@pytest.mark.parametrize("command", [JobCommand.PAUSE, JobCommand.RESUME, JobCommand.CANCEL])
def test_ended_job_takes_no_command(parts: Parts, command: JobCommand) -> None:
    job = parts.finished()
    told = parts.messages(job.id)
    with pytest.raises(WrongState) as caught:
        parts.store.command(job.id, command)
    assert caught.value.status == 400
    assert (parts.store.get(job.id), parts.messages(job.id)) == (job, told)


def test_checkpoints_are_listed_latest_first_in_pages(parts: Parts) -> None:
    lease, journal = parts.running()
    for number in (2, 4, 6):
        journal.keep_checkpoint(new_checkpoint(lease.job_id, number), keep_best=3)
    first = parts.store.checkpoints(lease.job_id, after=None, limit=2)
    second = parts.store.checkpoints(lease.job_id, after=first.data[-1].id, limit=2)
    assert [found.step for found in (*first.data, *second.data)] == [6, 4, 2]
    assert (first.has_more, second.has_more) == (True, False)


def test_checkpoint_of_another_job_is_no_cursor(parts: Parts) -> None:
    other = parts.finished()
    cursor = parts.store.checkpoints(other.id, after=None, limit=1).data[0].id
    with pytest.raises(InvalidRequest):
        parts.store.checkpoints(parts.created().id, after=cursor, limit=1)


def test_steps_come_in_order_above_the_one_named(parts: Parts) -> None:
    lease, journal = parts.running()
    for number in range(4):
        journal.commit_step(step(number))
    assert list(parts.store.steps(lease.job_id, after_step=-1)) == [{"step": number} for number in range(4)]
    assert list(parts.store.steps(lease.job_id, after_step=1)) == [{"step": 2}, {"step": 3}]


def test_batches_come_in_order(parts: Parts) -> None:
    lease, journal = parts.running()
    kept = [batch(1, 0), batch(1, 1), batch(1, 0, "valid")]
    for record in [*reversed(kept), batch(2, 0)]:
        journal.keep_batch(record)
    assert list(parts.store.batches(lease.job_id, step=1, split=None)) == kept
    assert list(parts.store.batches(lease.job_id, step=1, split="valid")) == kept[2:]


def test_validated_job_has_its_plan(parts: Parts) -> None:
    assert parts.queued().plan == PLAN


def _foreign(parts: Parts) -> SqlJobStore:
    return SqlJobStore(parts.database, FOREIGN_PROJECT)
