"""How a runner's figures reach the metrics of its supervisor: runners come and go with jobs, a worker's counters stay.

The runner writes lines of JSON into a pipe that the supervisor gave it. Writing never waits: where nobody reads, a report is
dropped. Without a pipe (a runner started by hand) nothing is reported.
"""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from core.jobs.types import Json
from core.settings import variable
from core.telemetry import metrics
from core.telemetry.steps import StepReport

log = logging.getLogger(__name__)

VARIABLE = "RFT_REPORTS_FD"
"""Tells a runner the pipe: a descriptor, or the path of another process's."""


class Reporter:
    """The runner's end."""

    def __init__(self, descriptor: int | None = None) -> None:
        self._descriptor = descriptor

    @classmethod
    def from_environment(cls) -> Reporter:
        """The pipe of the supervisor that started this process, if it gave one; not for this process's own children."""
        text = variable(VARIABLE)
        if text is None:
            return cls()
        descriptor = int(text) if text.isdigit() else os.open(text, os.O_WRONLY)
        os.set_inheritable(descriptor, False)
        os.set_blocking(descriptor, False)
        return cls(descriptor)

    def step(self, report: StepReport) -> None:
        """A step was committed."""
        self._send({"step": report.to_json()})

    def estimates(self, errors: Mapping[str, float]) -> None:
        """A job has ended: how wrong the estimates of that moment were, by the share of steps after which they were made."""
        self._send({"estimates": dict(errors)})

    def _send(self, report: Json) -> None:
        if self._descriptor is None:
            return
        try:
            # Shorter than a pipe's atomic 4096 bytes: a line arrives whole or not at all.
            os.write(self._descriptor, json.dumps(report).encode() + b"\n")
        except OSError as error:
            log.warning("a report for the metrics is lost: %s", error.strerror)


@contextmanager
def runner_reports() -> Iterator[int]:
    """The descriptor to give to a runner that is started in the block; its reports count here until it ends."""
    reading, writing = os.pipe()
    try:
        yield writing
    finally:
        os.close(writing)
        threading.Thread(target=_count_all, args=(reading,), name="reports", daemon=True).start()


def _count_all(descriptor: int) -> None:
    with os.fdopen(descriptor, "rb") as lines:
        for line in lines:
            try:
                count(json.loads(line))
            except (ValueError, TypeError, KeyError, AttributeError):
                log.exception("a report for the metrics cannot be read")


def count(report: Json) -> None:
    """Add a report to this process's metrics."""
    if "step" in report:
        StepReport(**report["step"]).count()
    for at, error in report.get("estimates", {}).items():
        metrics.ESTIMATE_ERROR.labels(at).observe(error)
