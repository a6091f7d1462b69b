"""What a runner reads to go on where its predecessor stopped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, select

from core.db import Database
from core.jobs.sql_rows import batch_of, checkpoint_of, state_of
from core.jobs.types import BatchRecord, Checkpoint, Json, Lease, StateRecord
from core.tables import BatchRow, CheckpointRow, StateRow, StepRow


class History:
    """What earlier runners of the leased job have kept. Reading needs no fence: what is kept stays the same."""

    def __init__(self, database: Database, lease: Lease) -> None:
        self._database = database
        self._lease = lease

    def states(self) -> Sequence[StateRecord]:
        """Training states, the last written first."""
        with self._database.read() as session:
            query = self._kept(StateRow).order_by(StateRow.epoch.desc(), StateRow.step.desc())
            return tuple(state_of(row) for row in session.scalars(query))

    def batches(self, split: str, step: int) -> Sequence[BatchRecord]:
        """The sampling batches of one step, in order."""
        with self._database.read() as session:
            query = self._kept(BatchRow).where(BatchRow.split == split, BatchRow.step == step).order_by(BatchRow.index)
            return tuple(batch_of(row) for row in session.scalars(query))

    def steps(self) -> Sequence[Json]:
        """Metrics of all committed steps, step 0 included, in order."""
        with self._database.read() as session:
            return tuple(row.metrics for row in session.scalars(self._kept(StepRow).order_by(StepRow.step)))

    def checkpoints(self) -> Sequence[Checkpoint]:
        """The checkpoints that exist, in order of their steps."""
        with self._database.read() as session:
            return tuple(checkpoint_of(row) for row in session.scalars(self._kept(CheckpointRow).order_by(CheckpointRow.step)))

    def _kept(self, table: Any) -> Select[Any]:
        return select(table).where(table.job_id == self._lease.job_id, table.project_id == self._lease.project_id)
