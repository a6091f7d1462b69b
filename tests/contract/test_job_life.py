"""Any order of calls by clients, supervisors and runners keeps the promises of a job's life, on SQLite and PostgreSQL."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from core.errors import LeaseLost, WrongState
from core.jobs.state import TERMINAL
from core.jobs.types import Job, JobCommand, JobStatus, Lease, StateRecord

from .parts import PLAN, TTL, Parts, batch, new_checkpoint, results, step

ERROR = {"code": "job_failed", "message": "failed", "param": None}
picks = st.integers(min_value=0, max_value=999)


class JobLife(RuleBasedStateMachine):
    """Every lease ever given stays in play, so that most writers are zombies."""

    def __init__(self, parts: Parts) -> None:
        super().__init__()
        self.parts = parts
        self.known: dict[str, Job] = {}
        self.given: list[Lease] = []
        self.newest: dict[str, int] = {}

    @rule(valid=st.booleans())
    def create(self, valid: bool) -> None:
        job = self.parts.created()
        self.known[job.id] = job
        if valid:
            self.parts.leases.validated(job, PLAN)

    @precondition(lambda self: self.known)
    @rule(pick=picks, command=st.sampled_from([JobCommand.PAUSE, JobCommand.RESUME, JobCommand.CANCEL]))
    def command(self, pick: int, command: JobCommand) -> None:
        job_id = list(self.known)[pick % len(self.known)]
        try:
            self.parts.store.command(job_id, command)
        except WrongState:
            return
        if command is JobCommand.CANCEL:
            self.newest.pop(job_id, None)

    @rule(seconds=st.sampled_from([1.0, TTL / 2, TTL, 50 * TTL, -TTL / 2, -50 * TTL]))
    def wait_or_turn_the_clock(self, seconds: float) -> None:
        """A clock that jumps may make leases long or short; it gives no job two holders."""
        self.parts.clock.advance(seconds)

    @precondition(lambda self: self.known)
    @rule(pick=picks, good=st.booleans())
    def judge_files(self, pick: int, good: bool) -> None:
        """As a worker does that is late: its verdict counts where none was given yet."""
        job = list(self.known.values())[pick % len(self.known)]
        if good:
            self.parts.leases.validated(job, PLAN)
        else:
            self.parts.leases.rejected(job, ERROR)

    @rule()
    def claim(self) -> None:
        lease = self.parts.leases.claim("anybody", TTL)
        if lease is not None:
            assert lease.epoch > self.known[lease.job_id].lease_epoch
            for older in self.given:
                if older.job_id == lease.job_id:
                    assert not self._holds(older)
            self.given.append(lease)
            self.newest[lease.job_id] = lease.epoch

    @precondition(lambda self: self.given)
    @rule(pick=picks, renew=st.booleans(), delay=st.sampled_from([0.0, TTL]), counted=st.booleans())
    def hold_or_let_go(self, pick: int, renew: bool, delay: float, counted: bool) -> None:
        lease = self.given[pick % len(self.given)]
        if not renew:
            self.parts.leases.release(lease, delay=delay, counted=counted)
            self._forget(lease)
            return
        try:
            self.parts.leases.renew(lease, TTL)
        except LeaseLost:
            return
        assert self._is_newest(lease)

    @precondition(lambda self: self.given)
    @rule(pick=picks, what=st.integers(0, 6), number=st.integers(0, 5))
    def write(self, pick: int, what: int, number: int) -> None:
        lease = self.given[pick % len(self.given)]
        try:
            self._write(lease, what, number)
        except LeaseLost:
            return
        assert self._is_newest(lease)
        if what >= 5:
            self._forget(lease)

    def _write(self, lease: Lease, what: int, number: int) -> None:
        journal = self.parts.journal(lease)
        if what == 0:
            journal.keep_batch(batch(number))
        elif what == 1:
            journal.commit_step(step(number, pause="No seconds left." if number == 5 else None))
        elif what == 2:
            journal.keep_state(StateRecord(number, f"state-{number}"))
        elif what == 3:
            journal.keep_checkpoint(new_checkpoint(lease.job_id, number), keep_best=2)
        elif what == 4:
            journal.event("message")
        elif what == 5:
            journal.fail(ERROR)
        else:
            last = max(self.parts.history(lease).checkpoints(), key=lambda kept: kept.step, default=None)
            if last is None:
                raise LeaseLost("nothing to finish with")
            journal.finish(model_name=f"ft:tiny:{lease.job_id}", checkpoint_id=last.id, results=results(lease))

    def _holds(self, lease: Lease) -> bool:
        try:
            self.parts.leases.job(lease)
        except LeaseLost:
            return False
        return True

    def _is_newest(self, lease: Lease) -> bool:
        return self.newest.get(lease.job_id) == lease.epoch

    def _forget(self, lease: Lease) -> None:
        if self._is_newest(lease):
            del self.newest[lease.job_id]

    @invariant()
    def promises_are_kept(self) -> None:
        for job_id, before in self.known.items():
            job = self.parts.store.get(job_id)
            assert job.lease_epoch >= before.lease_epoch
            assert job.attempts >= 0
            assert job == before or before.status not in TERMINAL
            assert (job.finished_at is not None) == (job.status in TERMINAL)
            assert (job.fine_tuned_model is not None) == (job.status is JobStatus.SUCCEEDED)
            sequence = [event.seq for event in self.parts.events.since(job_id, 0, 1000)]
            assert sequence == list(range(1, len(sequence) + 1))
            self.known[job_id] = job

    def teardown(self) -> None:
        """Leave nothing to claim for the next example."""
        for job_id, job in self.known.items():
            if job.status not in TERMINAL:
                self.parts.store.command(job_id, JobCommand.CANCEL)


def test_promises_hold_in_any_order(parts: Parts) -> None:
    run_state_machine_as_test(lambda: JobLife(parts), settings=settings(max_examples=15, stateful_step_count=30))
