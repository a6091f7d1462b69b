"""Ids of runs and output items. They say which they are: nothing is stored under them."""

from __future__ import annotations

import re
from dataclasses import dataclass

_RUN = re.compile(r"evalrun_([A-Za-z0-9]{1,64})-([0-9]{1,9})")
_ITEM = re.compile(r"outputitem_([A-Za-z0-9]{1,64})-([0-9]{1,9})-([0-9]{1,9})-([0-9]{1,9})")
_EVAL = "eval_"


@dataclass(frozen=True)
class RunId:
    """Which run: the validation after `step` updates of the eval's job."""

    eval_id: str
    step: int

    def __str__(self) -> str:
        return f"evalrun_{self.eval_id.removeprefix(_EVAL)}-{self.step}"

    @classmethod
    def parse(cls, text: str) -> RunId | None:
        """The inverse of `str`; None for anything else."""
        match = _RUN.fullmatch(text)
        return None if match is None else cls(f"{_EVAL}{match[1]}", int(match[2]))


@dataclass(frozen=True)
class ItemId:
    """Which output item: a row of one of the run's sampling batches."""

    run: RunId
    batch: int
    row: int

    def __str__(self) -> str:
        return f"outputitem_{self.run.eval_id.removeprefix(_EVAL)}-{self.run.step}-{self.batch}-{self.row}"

    @classmethod
    def parse(cls, text: str) -> ItemId | None:
        """The inverse of `str`; None for anything else."""
        match = _ITEM.fullmatch(text)
        if match is None:
            return None
        return cls(RunId(f"{_EVAL}{match[1]}", int(match[2])), int(match[3]), int(match[4]))
