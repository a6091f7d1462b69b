"""What a job keeps of its policy: training states to resume from, and checkpoints that clients download and chat with."""

from __future__ import annotations

import errno
import logging
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any

from core.errors import CorruptObject, QuotaExceeded, StorageFull
from core.failpoints import hit
from core.ids import new_id
from core.jobs.base import Journal
from core.jobs.history import History
from core.jobs.types import Lease, NewCheckpoint, StateRecord
from core.storage import manifest
from core.storage.base import ObjectKey, ObjectStore
from core.telemetry.phases import timed
from worker.policy.base import PolicyTrainer

log = logging.getLogger(__name__)

Json = dict[str, Any]

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

KEEP_BEST = 3
"""Checkpoints with the highest validation reward that stay, beside the last one."""
STATE_COST_SHARE = 0.01
"""Training states are saved as often as takes no more than this share of the time."""


@contextmanager
def _scratch() -> Iterator[Path]:
    """A directory to write in before the objects are stored; raises `StorageFull` where its disk has no room."""
    with _room_for_files(), tempfile.TemporaryDirectory(prefix="rft-keep-") as directory:
        yield Path(directory)


@contextmanager
def _room_for_files() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise StorageFull("The disk of temporary files has no room left.") from error
        raise


def _bytes(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())


class PolicyKeeper:
    """Saves and restores the policy of one job."""

    def __init__(self, *, lease: Lease, policy: PolicyTrainer, objects: ObjectStore, journal: Journal, history: History) -> None:
        self._lease, self._policy = lease, policy
        self._objects, self._journal, self._history = objects, journal, history
        self._saved_at = monotonic()
        self._cost = 0.0
        self._saved_step = 0
        self._held: tempfile.TemporaryDirectory[str] | None = None

    def restore(self) -> int:
        """Load the newest training state whose objects are whole; the number of updates in it, 0 for a fresh policy."""
        for state in self._history.states():
            with tempfile.TemporaryDirectory(prefix="rft-state-") as directory:
                try:
                    manifest.fetch(self._objects, ObjectKey.parse(state.manifest_key), Path(directory))
                except CorruptObject as error:
                    self._journal.event(
                        f"Training state of step {state.step} is damaged and left out: {error.message}", level="warn"
                    )
                    continue
                self._policy.load_state(Path(directory))
                self._saved_step = state.step
                return state.step
        return 0

    def save_state_when_due(self, step: int) -> None:
        """Save a training state if the last one is old enough for its cost."""
        if monotonic() - self._saved_at >= self._cost / STATE_COST_SHARE:
            self.save_state(step)

    def save_state(self, step: int) -> None:
        """Keep the policy as it is after `step` updates; nothing happens where that is kept already."""
        if step == self._saved_step:
            return
        begin = monotonic()
        with timed("checkpoint"), _scratch() as directory:
            self._policy.save_state(directory)
            key = manifest.write(self._objects, self._prefix("states", step), directory, {"step": step})
            size = _bytes(directory)
        hit("before_state_row")
        with self._dropped_if_refused(key):
            replaced = self._journal.keep_state(StateRecord(step, str(key), size))
        hit("after_state_row")
        self._delete(replaced)
        self._saved_step, self._saved_at, self._cost = step, monotonic(), monotonic() - begin

    def save_checkpoint(self, step: int, model_name: str, metrics: Json, valid_reward: float | None) -> None:
        """Make a checkpoint of the policy; the best `KEEP_BEST` and this one stay."""
        with timed("checkpoint"), _scratch() as directory:
            self._policy.save_checkpoint(directory)
            self._keep_checkpoint(directory, step, model_name, metrics, valid_reward)

    def hold(self) -> None:
        """Put the policy's weights aside before an update, for `save_held_checkpoint`. Replaces what was held before."""
        with _room_for_files():
            self._held = self._held or tempfile.TemporaryDirectory(prefix="rft-held-")
            self._policy.save_checkpoint(Path(self._held.name))

    def close(self) -> None:
        """Let go of what is put aside."""
        if self._held is not None:
            self._held.cleanup()

    def save_held_checkpoint(self, step: int, model_name: str, metrics: Json, valid_reward: float | None) -> None:
        """Make a checkpoint of the weights put aside last, which are those after `step` updates; none where nothing is."""
        if self._held is not None:
            self._keep_checkpoint(Path(self._held.name), step, model_name, metrics, valid_reward)

    def _keep_checkpoint(self, directory: Path, step: int, model_name: str, metrics: Json, valid_reward: float | None) -> None:
        key = manifest.write(self._objects, self._prefix("checkpoints", step), directory, {"step": step})
        new = NewCheckpoint(new_id("ftckpt_"), step, model_name, str(key), metrics, valid_reward, _bytes(directory))
        hit("before_checkpoint_row")
        with self._dropped_if_refused(key):
            replaced = self._journal.keep_checkpoint(new, keep_best=KEEP_BEST)
        hit("after_checkpoint_row")
        self._delete(replaced)

    @contextmanager
    def _dropped_if_refused(self, manifest_key: ObjectKey) -> Iterator[None]:
        """Leave no objects that count for nobody where the project may store no more."""
        try:
            yield
        except QuotaExceeded:
            manifest.delete(self._objects, manifest_key)
            raise

    def _prefix(self, kind: str, step: int) -> ObjectKey:
        # The epoch in the key keeps a runner that lost its lease from overwriting its successor's objects.
        return ObjectKey.of(self._lease.project_id, "jobs", self._lease.job_id, f"e{self._lease.epoch}", kind, f"step-{step}")

    def _delete(self, manifest_keys: Sequence[str]) -> None:
        for key in manifest_keys:
            manifest.delete(self._objects, ObjectKey.parse(key))
