"""What a committed step tells the metrics. A runner makes the report, its supervisor counts it (`core.telemetry.reports`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from core.jobs.types import Json, StepRecord
from core.jobs.usage import amounts
from core.telemetry import metrics
from core.usage import UsageKind

_TOKENS = {
    UsageKind.PROMPT_TOKENS: "prompt",
    UsageKind.SAMPLED_TOKENS: "sampled",
    UsageKind.TRAINED_TOKENS: "trained",
    UsageKind.JUDGE_PROMPT_TOKENS: "judge_prompt",
    UsageKind.JUDGE_COMPLETION_TOKENS: "judge_completion",
    UsageKind.JUDGE_CACHED_TOKENS: "judge_cached",
}
_SPLITS = ("train", "valid")


@dataclass(frozen=True)
class StepReport:
    """One step in figures that name neither job nor project."""

    step: int
    phases: Mapping[str, float]
    """Seconds of sample, update, eval and checkpoint, and of grade: the part of sample and eval after the sampling itself."""
    tokens: Mapping[str, float]
    grader: str
    """The type of the job's grader."""
    grades: int
    errors: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, record: StepRecord, gathered: Mapping[str, float]) -> StepReport:
        """The report of a committed step; `gathered` holds the phases that its metrics do not tell."""
        tree = record.metrics
        timing = (tree.get("timing") or {}).get("step") or {}
        names = {"sample": "sampling", "update": "training", "eval": "eval"}
        phases = {**{phase: timing.get(name) or 0.0 for phase, name in names.items()}, **gathered}
        tokens: dict[str, float] = {}
        for (_, kind), amount in amounts("", record).items():
            if kind in _TOKENS:
                tokens[_TOKENS[kind]] = tokens.get(_TOKENS[kind], 0.0) + amount
        whole: Json = next(iter((tree.get("errors") or {}).get("graders") or ()), {})
        return cls(
            step=record.step,
            phases={phase: seconds for phase, seconds in phases.items() if seconds},
            tokens=tokens,
            grader=str(whole.get("type", "unknown")),
            grades=sum((tree.get("touchstone") or {}).get(f"{split}_graded") or 0 for split in _SPLITS),
            errors=_errors(whole),
        )

    def to_json(self) -> Json:
        """Plain values."""
        return asdict(self)

    def count(self) -> None:
        """Add the step to this process's metrics."""
        if self.step > 0:
            metrics.STEPS.inc()
        for phase, seconds in self.phases.items():
            metrics.STEP_PHASE_SECONDS.labels(phase).observe(seconds)
        for kind, amount in self.tokens.items():
            metrics.TOKENS.labels(kind).inc(amount)
        metrics.GRADES.labels(self.grader).inc(self.grades)
        for kind, number in self.errors.items():
            metrics.GRADER_ERRORS.labels(self.grader, kind).inc(number)


def _errors(whole: Json) -> dict[str, int]:
    """Counts of failures by their kind, training and validation together."""
    counts: dict[str, int] = {}
    for name, number in whole.items():
        split, _, rest = name.partition("_")
        if number and split in _SPLITS and rest.endswith("_error_count"):
            kind = rest.removesuffix("_error_count")
            counts[kind] = counts.get(kind, 0) + number
    return counts
