"""`Journal` and `History` on SQLite and PostgreSQL: what a runner writes, and what its successor reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select

from core.db import Database
from core.errors import LeaseLost
from core.files import FileStore
from core.jobs.base import Journal
from core.jobs.types import JobCommand, JobStatus, Lease, StateRecord, StepRecord, Wish
from core.settings import DEFAULT_PROJECT
from core.storage.local import LocalObjectStore
from core.tables import Base, OutboxRow

from .parts import TTL, Parts, batch, new_checkpoint, new_job, results, step

ERROR = {"code": "job_failed", "message": "The grader failed too often.", "param": None}

WRITES: dict[str, Callable[[Journal], object]] = {
    "keep_batch": lambda journal: journal.keep_batch(batch(9)),
    "commit_step": lambda journal: journal.commit_step(step(9, trained_tokens=5)),
    "keep_state": lambda journal: journal.keep_state(StateRecord(9, "state-9")),
    "keep_checkpoint": lambda journal: journal.keep_checkpoint(new_checkpoint("job", 9), keep_best=3),
    "event": lambda journal: journal.event("still here"),
    "finish": lambda journal: journal.finish(
        model_name="ft:m", checkpoint_id="ftckpt_x", results=results(Lease("job", DEFAULT_PROJECT, 1))
    ),
    "fail": lambda journal: journal.fail(ERROR),
}


def everything(database: Database) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table."""
    with database.read() as session:
        tables = Base.metadata.sorted_tables
        return {table.name: sorted((tuple(row) for row in session.execute(select(table))), key=repr) for table in tables}


def _claimed_by_another(parts: Parts, lease: Lease) -> None:
    parts.clock.advance(TTL)
    parts.claim("two")


def _cancelled(parts: Parts, lease: Lease) -> None:
    parts.store.command(lease.job_id, JobCommand.CANCEL)


def _let_go(parts: Parts, lease: Lease) -> None:
    parts.leases.release(lease)


def _failed(parts: Parts, lease: Lease) -> None:
    parts.journal(lease).fail(ERROR)


@pytest.mark.parametrize("lose", [_claimed_by_another, _cancelled, _let_go, _failed])
@pytest.mark.parametrize("write", WRITES)
def test_write_without_the_lease_raises_and_changes_nothing(parts: Parts, write: str, lose) -> None:
    lease, journal = parts.running()
    lose(parts, lease)
    before = everything(parts.database)
    with pytest.raises(LeaseLost):
        WRITES[write](journal)
    assert everything(parts.database) == before


@pytest.mark.parametrize("write", ["finish", "fail"])
def test_paused_job_cannot_end(parts: Parts, write: str) -> None:
    lease, journal = parts.running()
    parts.store.command(lease.job_id, JobCommand.PAUSE)
    before = everything(parts.database)
    with pytest.raises(LeaseLost):
        WRITES[write](journal)
    assert everything(parts.database) == before


@pytest.mark.parametrize("write", ["keep_batch", "commit_step"])
def test_wish_follows_pause_and_resume(parts: Parts, write: str) -> None:
    lease, journal = parts.running()
    wishes = [WRITES[write](journal)]
    parts.store.command(lease.job_id, JobCommand.PAUSE)
    wishes.append(WRITES[write](journal))
    parts.store.command(lease.job_id, JobCommand.RESUME)
    wishes.append(WRITES[write](journal))
    assert wishes == [Wish.GO_ON, Wish.LET_GO, Wish.LET_GO]


def test_paused_runner_still_keeps_its_work(parts: Parts) -> None:
    lease, journal = parts.running()
    parts.store.command(lease.job_id, JobCommand.PAUSE)
    journal.keep_batch(batch(1))
    journal.commit_step(step(1))
    journal.keep_state(StateRecord(1, "state-1"))
    assert list(parts.history(lease).states()) == [StateRecord(1, "state-1")]
    assert parts.store.get(lease.job_id).step == 1


def test_step_that_uses_up_the_budget_pauses_the_job_in_its_own_transaction(parts: Parts) -> None:
    lease, journal = parts.running()
    wish = journal.commit_step(step(1, pause="No seconds left."))
    job = parts.store.get(lease.job_id)
    assert (wish, job.status, job.step) == (Wish.LET_GO, JobStatus.PAUSED, 1)
    assert parts.messages(job.id)[-3:] == ["Step 1/10", "No seconds left.", "Fine-tuning job paused"]


def test_job_paused_already_is_paused_once(parts: Parts) -> None:
    lease, journal = parts.running()
    parts.store.command(lease.job_id, JobCommand.PAUSE)
    journal.commit_step(step(1, pause="No seconds left."))
    assert parts.messages(lease.job_id)[-3:] == ["Fine-tuning job paused", "Step 1/10", "No seconds left."]


def test_job_resumed_before_its_runner_let_go_is_paused_again(parts: Parts) -> None:
    lease, journal = parts.running()
    parts.store.command(lease.job_id, JobCommand.PAUSE)
    parts.store.command(lease.job_id, JobCommand.RESUME)
    journal.commit_step(step(1, pause="No seconds left."))
    assert parts.store.get(lease.job_id).status is JobStatus.PAUSED


def test_result_file_appears_with_the_end(parts: Parts) -> None:
    job = parts.finished()
    files = FileStore(parts.database, LocalObjectStore(Path("objects")), DEFAULT_PROJECT, 10)
    (file,) = files.list().data
    assert ((file.id,), file.filename, file.purpose) == (job.result_files, "step_metrics.csv", "fine-tune-results")


@pytest.mark.parametrize("write", ["keep_batch", "commit_step", "keep_state", "keep_checkpoint"])
def test_writing_again_changes_nothing(parts: Parts, write: str) -> None:
    _, journal = parts.running()
    WRITES[write](journal)
    before = everything(parts.database)
    parts.clock.advance(1.0)
    WRITES[write](journal)
    assert everything(parts.database) == before


def test_first_batch_of_a_name_stays(parts: Parts) -> None:
    lease, journal = parts.running()
    journal.keep_batch(batch(1, key="first"))
    journal.keep_batch(batch(1, key="second"))
    assert [kept.object_key for kept in parts.history(lease).batches("train", 1)] == ["first"]


def test_history_gives_the_batches_of_a_step_in_order(parts: Parts) -> None:
    lease, journal = parts.running()
    for record in (batch(1, 1), batch(1, 0), batch(2, 0), batch(1, 0, "valid")):
        journal.keep_batch(record)
    assert list(parts.history(lease).batches("train", 1)) == [batch(1, 0), batch(1, 1)]


def test_committed_step_counts_into_the_job(parts: Parts) -> None:
    lease, journal = parts.running()
    journal.commit_step(step(1, trained_tokens=10, seconds=1.5))
    journal.commit_step(step(2, trained_tokens=5, seconds=0.5, seconds_left=60.0))
    job = parts.leases.job(lease)
    assert (job.step, job.trained_tokens, job.train_seconds, job.attempts) == (2, 15, 2.0, 0)
    assert job.estimated_finish == parts.clock.seconds + 60.0


def test_grader_tokens_of_committed_steps_add_up_and_a_step_counts_once(parts: Parts) -> None:
    lease, journal = parts.running()
    counts = {"train_prompt_tokens": 10, "eval_prompt_tokens": 5, "train_completion_tokens": 2, "eval_cached_tokens": None}
    for number in (1, 2, 2):
        metrics = {"step": number, "model_graders_token_usage": {"judge": counts}}
        journal.commit_step(StepRecord(step=number, metrics=metrics, message=""))
    spent = {"prompt_tokens": 30, "completion_tokens": 4, "cached_tokens": 0}
    assert parts.leases.job(lease).usage == {"grader_tokens": {"judge": spent}}


def test_checkpoint_that_a_job_starts_from_stays(parts: Parts) -> None:
    lease, journal = parts.running()
    rewards = {1: 0.1, 2: 0.5, 3: 0.6, 4: 0.7, 5: 0.2}
    for number in (1, 2):
        journal.keep_checkpoint(new_checkpoint(lease.job_id, number, rewards[number]), keep_best=1)
    first, second = (f"ftckpt_{lease.job_id}-{number}" for number in (1, 2))
    waiting = parts.store.create(replace(new_job(), initial_checkpoint_id=second))
    assert parts.store.get(waiting.id).initial_checkpoint_id == second
    for number in (3, 4):
        journal.keep_checkpoint(new_checkpoint(lease.job_id, number, rewards[number]), keep_best=1)
    assert parts.store.checkpoint(second) is not None
    parts.store.command(waiting.id, JobCommand.CANCEL)
    journal.keep_checkpoint(new_checkpoint(lease.job_id, 5, rewards[5]), keep_best=1)
    assert [parts.store.checkpoint(checkpoint) for checkpoint in (first, second)] == [None, None]


def test_committed_step_is_told_with_its_metrics(parts: Parts) -> None:
    lease, journal = parts.running()
    journal.commit_step(step(0))
    event = parts.events.list(lease.job_id, after=None, limit=1).data[0]
    assert (event.type, event.message, event.data) == ("metrics", "Step 0/10", {"step": 0})


def test_history_gives_all_steps_in_order(parts: Parts) -> None:
    lease, journal = parts.running()
    for number in range(3):
        journal.commit_step(step(number))
    assert list(parts.history(lease).steps()) == [{"step": 0}, {"step": 1}, {"step": 2}]


def test_two_newest_states_stay(parts: Parts) -> None:
    lease, journal = parts.running()
    dropped = [list(journal.keep_state(StateRecord(number, f"state-{number}"))) for number in (1, 2, 3)]
    assert dropped == [[], [], ["state-1"]]
    assert [kept.step for kept in parts.history(lease).states()] == [3, 2]


@pytest.mark.parametrize("write", ["keep_state", "keep_checkpoint"])
def test_second_object_of_one_step_is_handed_back(parts: Parts, write: str) -> None:
    _, journal = parts.running()
    WRITES[write](journal)
    before = everything(parts.database)
    if write == "keep_state":
        left = journal.keep_state(StateRecord(9, "again"))
    else:
        left = journal.keep_checkpoint(new_checkpoint("job", 9, key="again"), keep_best=3)
    assert (list(left), everything(parts.database)) == (["again"], before)


def test_state_written_last_stands_first(parts: Parts) -> None:
    _, journal = parts.running()
    journal.keep_state(StateRecord(10, "damaged"))
    parts.clock.advance(TTL)
    successor = parts.claim("two")
    parts.journal(successor).keep_state(StateRecord(5, "sound"))
    assert [kept.step for kept in parts.history(successor).states()] == [5, 10]


def test_checkpoint_comes_back_as_kept(parts: Parts) -> None:
    lease, journal = parts.running()
    journal.keep_checkpoint(new_checkpoint(lease.job_id, 4, 0.25), keep_best=3)
    (kept,) = parts.history(lease).checkpoints()
    assert (kept.step, kept.valid_reward, kept.manifest_key, kept.metrics) == (4, 0.25, "manifest-4", {"step": 4})
    assert (kept.job_id, kept.project_id, kept.created_at) == (lease.job_id, lease.project_id, parts.clock.seconds)
    assert parts.messages(lease.job_id)[-1] == "Checkpoint created at step 4"


def _keep(parts: Parts, rewards: list[float | None], keep_best: int = 3) -> tuple[list[int], list[str]]:
    """Steps that stay, and manifest keys that went, after checkpoints at steps 1, 2, ... with these rewards."""
    lease, journal = parts.running()
    gone: list[str] = []
    for number, reward in enumerate(rewards, start=1):
        gone += journal.keep_checkpoint(new_checkpoint(lease.job_id, number, reward), keep_best=keep_best)
    return [kept.step for kept in parts.history(lease).checkpoints()], gone


def test_best_checkpoints_stay_and_the_last(parts: Parts) -> None:
    kept, gone = _keep(parts, [0.1, 0.9, 0.8, 0.7, 0.2, 0.3])
    assert (kept, sorted(gone)) == ([2, 3, 4, 6], ["manifest-1", "manifest-5"])


def test_of_equal_checkpoints_the_earlier_stays(parts: Parts) -> None:
    kept, _ = _keep(parts, [0.5, 0.5, 0.5, 0.1], keep_best=1)
    assert kept == [1, 4]


def test_checkpoint_without_reward_stays_as_the_last_only(parts: Parts) -> None:
    kept, _ = _keep(parts, [None, 0.1, None])
    assert kept == [2, 3]


def test_dropped_checkpoint_does_not_come_back(parts: Parts) -> None:
    lease, journal = parts.running()
    for number, reward in ((1, 0.9), (2, 0.1), (3, 0.8)):
        journal.keep_checkpoint(new_checkpoint(lease.job_id, number, reward), keep_best=1)
    before = everything(parts.database)
    again = journal.keep_checkpoint(new_checkpoint(lease.job_id, 2, 0.1, key="again"), keep_best=1)
    assert (list(again), everything(parts.database)) == (["again"], before)


def test_finished_job_has_its_model(parts: Parts) -> None:
    job = parts.finished()
    assert (job.status, job.finished_at) == (JobStatus.SUCCEEDED, parts.clock.seconds)
    assert (job.fine_tuned_model, job.result_files) == (f"ft:tiny:{job.id}", (f"file-of-{job.id}",))
    assert parts.messages(job.id)[-2:] == [
        f"New fine-tuned model created: ft:tiny:{job.id}",
        "The job has successfully completed",
    ]


def test_failed_job_tells_why(parts: Parts) -> None:
    lease, journal = parts.running()
    journal.fail(ERROR)
    job = parts.store.get(lease.job_id)
    assert (job.status, job.error, job.finished_at) == (JobStatus.FAILED, ERROR, parts.clock.seconds)
    event = parts.events.list(job.id, after=None, limit=1).data[0]
    assert (event.level, event.message) == ("error", ERROR["message"])


@pytest.mark.parametrize("end", ["succeeded", "failed"])
def test_end_owes_a_webhook(parts: Parts, end: str) -> None:
    if end == "succeeded":
        job_id = parts.finished().id
    else:
        lease, journal = parts.running()
        journal.fail(ERROR)
        job_id = lease.job_id
    with parts.database.read() as session:
        last = session.scalars(select(OutboxRow).order_by(OutboxRow.id.desc())).first()
    assert last is not None
    assert (last.topic, last.payload) == ("webhook", {"type": f"fine_tuning.job.{end}", "job_id": job_id})


def test_ended_job_is_never_due(parts: Parts) -> None:
    parts.finished()
    parts.clock.advance(10 * TTL)
    assert parts.leases.claim("two", TTL) is None
