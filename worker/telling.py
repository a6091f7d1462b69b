"""What a runner tells of its job while it runs: figures for its supervisor's metrics, and spans."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from core.jobs.types import Job, StepRecord
from core.telemetry import phases
from core.telemetry.reports import Reporter
from core.telemetry.steps import StepReport
from core.telemetry.tracing import NoTraces, Span, Traces, open_traces

_WITHIN_OTHERS = "grade"
"""The phase that is a part of others; spans are laid out one behind the other."""


class Telling:
    """Tells of one run. Of several ranks only the one that `leads` has anything to tell."""

    def __init__(self, *, leads: bool) -> None:
        self._reporter = Reporter.from_environment()
        self._traces: Traces = open_traces("runner") if leads else NoTraces()

    @contextmanager
    def run(self, job: Job) -> Iterator[Span]:
        """A span around the run, below the job's create call; what is left is sent at the end."""
        try:
            with self._traces.span("run", parent=job.traceparent, model=job.base_model) as span:
                yield span
        finally:
            self._traces.close()

    def step(self, record: StepRecord) -> None:
        """A step was committed."""
        report = StepReport.of(record, phases.taken())
        self._reporter.step(report)
        parts = {phase: seconds for phase, seconds in report.phases.items() if phase != _WITHIN_OTHERS}
        self._traces.done("step", record.seconds, parts, step=record.step)

    def ended(self, estimate_errors: Mapping[str, float]) -> None:
        """The job has succeeded."""
        self._reporter.estimates(estimate_errors)
