"""Failpoints: named borders of a job's path at which a test stops, kills or holds the process that reaches them.

`RFT_FAILPOINT` names one, as `name:action` or `name:action:occurrence` (the first unless a number says otherwise, counted in each
process). Actions:

- `kill`: SIGKILL to the process itself;
- `stop`: SIGSTOP, until somebody sends SIGCONT;
- `hold`: the thread waits until a file named as `RFT_FAILPOINT_FILE` with `.released` behind it exists. Meanwhile a test kills
  what it likes.

`RFT_FAILPOINT_FILE` is required: whoever reaches the failpoint writes its process id there, and where the file exists the
failpoint is spent. So it strikes once, and not the process again that takes over. Without `RFT_FAILPOINT` a `hit` costs one
comparison.
"""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

from core.settings import variable

POINTS: dict[str, str] = {
    "job_before_commit": "API: a job's row, events and message are written, not committed",
    "job_after_commit": "API: the job exists, its client has no answer yet",
    "before_validated": "worker: the files are checked, the plan is not kept yet",
    "after_claim": "worker: the lease is taken, no runner is started",
    "before_release": "worker: the runner has ended, its lease is still held",
    "runner_started": "runner: nothing is loaded yet",
    "before_training": "runner: model, adapter and training state are loaded",
    "mid_sampling": "runner: some samples of a training batch have ended, others not",
    "mid_grading": "runner: a grader has answered, nobody knows yet",
    "before_batch_row": "runner: a sampling batch is stored, its row is not written",
    "after_batch_row": "runner: a sampling batch is kept",
    "mid_update": "runner: gradients are there, the optimizer's step is not made",
    "after_update": "runner: the policy is updated, nothing of it is kept",
    "mid_evaluation": "runner: some samples of a validation batch have ended, others not",
    "between_parts": "runner: some parts of a training state or checkpoint are stored, others not",
    "before_manifest": "runner: all parts are stored, the manifest is not",
    "before_state_row": "runner: a training state's manifest is stored, its row is not written",
    "after_state_row": "runner: a training state is kept, the one it replaces not yet deleted",
    "before_checkpoint_row": "runner: a checkpoint's manifest is stored, its row is not written",
    "after_checkpoint_row": "runner: a checkpoint exists, those it replaces are not yet deleted",
    "before_step_commit": "runner: a step is done, not committed",
    "after_step_commit": "runner: a step is committed",
    "before_export": "runner: all steps are committed, the result file is not written",
    "mid_export": "runner: the result file exists, the job is not ended",
    "after_export": "runner: the job is `succeeded`, its lease not given back",
    "before_relayed": "worker: messages of the outbox are handed on, not marked so",
}
"""Every failpoint, in the order of a job's path, and what is done and not done there."""

_POLL_SECONDS = 0.01


def _kill(_file: Path) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _stop(_file: Path) -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def _hold(file: Path) -> None:
    while not released(file).exists():
        time.sleep(_POLL_SECONDS)


ACTIONS: dict[str, Callable[[Path], None]] = {"kill": _kill, "stop": _stop, "hold": _hold}


@dataclass
class Failpoint:
    """One failpoint that will strike."""

    name: str
    action: str
    occurrence: int
    file: Path
    _seen: Counter[str] = field(default_factory=Counter)
    _lock: Lock = field(default_factory=Lock)

    @classmethod
    def parse(cls, text: str, file: str | None) -> Failpoint:
        """Read `RFT_FAILPOINT` and `RFT_FAILPOINT_FILE`; raises `ValueError` for what they cannot hold."""
        name, _, rest = text.partition(":")
        action, _, occurrence = rest.partition(":")
        if name not in POINTS or action not in ACTIONS or not file:
            known = f"one of {', '.join(POINTS)}, an action one of {', '.join(ACTIONS)}"
            raise ValueError(f"RFT_FAILPOINT={text}: a failpoint is {known}, and RFT_FAILPOINT_FILE has to be set.")
        return cls(name, action, int(occurrence or 1), Path(file))

    def reached(self, name: str) -> None:
        """Strike where `name` is this failpoint, its occurrence has come, and it has not struck before in any process."""
        if name not in POINTS:
            raise KeyError(name)
        with self._lock:
            self._seen[name] += 1
            strikes = name == self.name and self._seen[name] == self.occurrence and self._is_first()
        if strikes:
            ACTIONS[self.action](self.file)

    def _is_first(self) -> bool:
        try:
            with self.file.open("x") as file:
                file.write(str(os.getpid()))
        except FileExistsError:
            return False
        return True


def released(file: Path) -> Path:
    """The file whose existence lets a held process go on."""
    return file.with_name(f"{file.name}.released")


def _armed() -> Failpoint | None:
    text = variable("RFT_FAILPOINT")
    return Failpoint.parse(text, variable("RFT_FAILPOINT_FILE")) if text else None


_ARMED = _armed()


def hit(name: str) -> None:
    """The border `name` of `POINTS` is reached."""
    if _ARMED is not None:
        _ARMED.reached(name)
