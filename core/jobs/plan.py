"""A job's hyperparameters: what a client may ask for, and the numbers they resolve to.

`auto` depends on the size of the data alone, so that the same request on the same files always means the same run:

| name | rule for `auto` |
|---|---|
| batch_size | an eighth of the training rows, between 4 and 16, never more than there are rows |
| n_epochs | as many passes as give about 48 steps, between 1 and 10 |
| learning_rate_multiplier | 1 |
| compute_multiplier | 1 (8 samples a prompt) |
| eval_interval | a twelfth of the steps, at least 1 |
| eval_samples | as many as give about 32 graded answers, between 1 and 4 |
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from core.errors import Unavailable

Json = dict[str, Any]

BASE_LEARNING_RATE = 2e-4
"""Of adapters."""
FULL_LEARNING_RATE = 1e-5
"""Of full fine-tuning, a twentieth: adapters want about ten times its rate (Schulman et al. 2025, "LoRA Without Regret")."""
SAMPLES_PER_PROMPT = 8
SAMPLING_ROWS = 64
"""Rows of one sampling batch, the unit that is kept and replayed: whole groups up to this many."""


class Hyperparameters(BaseModel):
    """OpenAI's hyperparameters of reinforcement fine-tuning, with its ranges. Unknown fields are kept, null is `auto`."""

    model_config = ConfigDict(extra="allow")

    batch_size: Literal["auto"] | Annotated[int, Field(ge=1, le=256)] = "auto"
    learning_rate_multiplier: Literal["auto"] | Annotated[float, Field(gt=0, le=1000)] = "auto"
    n_epochs: Literal["auto"] | Annotated[int, Field(ge=1, le=50)] = "auto"
    compute_multiplier: Literal["auto"] | Annotated[float, Field(gt=0.00001, le=10)] = "auto"
    eval_interval: Literal["auto"] | Annotated[int, Field(ge=1)] = "auto"
    eval_samples: Literal["auto"] | Annotated[int, Field(ge=1, le=64)] = "auto"
    reasoning_effort: Literal["default", "low", "medium", "high"] = "default"

    @model_validator(mode="before")
    @classmethod
    def _drop_nulls(cls, values: Any) -> Any:
        # Clients send what their caller left at None as null.
        return {name: value for name, value in values.items() if value is not None} if isinstance(values, dict) else values


class LoraAdapter(BaseModel):
    """Low-rank adapters on every linear layer (Hu et al. 2021, arXiv:2106.09685)."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["lora"] = "lora"
    rank: int = Field(default=16, ge=1, le=256)
    alpha: float = Field(default=32.0, gt=0, le=1024)


class FullFineTuning(BaseModel):
    """No adapter: every weight is trained."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["full"]


def _kind(value: Any) -> Any:
    """Which of the adapter's kinds a value is meant to be; one without a type is the default."""
    return value.get("type", "lora") if isinstance(value, dict) else getattr(value, "type", "lora")


Adapter = Annotated[
    Annotated[LoraAdapter, Tag("lora")] | Annotated[FullFineTuning, Tag("full")],
    Discriminator(_kind, custom_error_type="adapter_kind", custom_error_message="its type should be 'lora' or 'full'"),
]


class Clip(BaseModel):
    """Bounds of the importance ratio, `[1 - low, 1 + high]`. What is left out depends on the loss (`CLIPS`)."""

    model_config = ConfigDict(extra="forbid")

    low: float | None = Field(default=None, gt=0, lt=1)
    high: float | None = Field(default=None, gt=0, le=10)


CLIPS: dict[str, tuple[float, float]] = {"gspo": (3e-4, 4e-4), "cispo": (0.2, 4.0)}
"""Bounds by loss where they are not `DEFAULT_CLIP`: the ratio of a whole completion moves far less than that of a token
(arXiv:2507.18071, section 5.1), and a bound that only caps a weight may be wide (arXiv:2510.13786)."""
DEFAULT_CLIP = (0.2, 0.28)


class DynamicSampling(BaseModel):
    """Groups whose rewards are all the same are replaced by groups of other prompts (Yu et al. 2025, arXiv:2503.14476)."""

    model_config = ConfigDict(extra="forbid")

    max_rounds: int = Field(ge=1, le=16)
    """How often a step may replace what still has no spread."""


class Options(BaseModel):
    """Our own options, the object `touchstone` of a create body. Unknown keys are refused."""

    model_config = ConfigDict(extra="forbid")

    samples_per_prompt: int | None = Field(default=None, ge=2, le=256)
    """Default: 8 times compute_multiplier, at least 2."""
    max_completion_tokens: int = Field(default=256, ge=1, le=32768)
    temperature: float = Field(default=1.0, gt=0, le=2)
    top_p: float = Field(default=1.0, gt=0, le=1)
    learning_rate: float | None = Field(default=None, gt=0, le=1)
    """Default: `BASE_LEARNING_RATE` or `FULL_LEARNING_RATE`, by the adapter."""
    loss: Literal["grpo", "dr_grpo", "rloo", "gspo", "cispo", "ppo"] = "grpo"
    kl_coef: float = Field(default=0.0, ge=0, le=10)
    clip: Clip = Clip()
    inner_epochs: int = Field(default=1, ge=1, le=8)
    adapter: Adapter = LoraAdapter()
    overlong: Literal["mask", "penalize", "keep"] = "keep"
    """Completions cut at `max_completion_tokens` take no part in the update, or count as graded. `penalize` lowers the reward
    that the update sees over the last fifth of the allowed length, by up to 1."""
    failed_sample: Literal["exclude", "zero", "minus_one"] = "minus_one"
    """How reported means count a sample without a grade. It never takes part in the update."""
    grader_error_limit: float = Field(default=0.5, ge=0, le=1)
    """Share of recent samples whose grader may fail before the job pauses; 1 lets it go on whatever the share."""
    final_checkpoint: Literal["best", "last"] = "best"
    budget_seconds: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """Pauses the job when its training has taken this long."""
    dynamic_sampling: DynamicSampling | None = None
    max_staleness: int = Field(default=0, ge=0, le=1)
    """Updates that the sampling policy may lack: with 1 the next step is sampled while the policy is updated."""
    priority: int = Field(default=0, ge=-100, le=100)
    """Of the project's queued jobs, those with the highest start first."""


@dataclass(frozen=True)
class Plan:
    """Every number of a run."""

    train_rows: int
    valid_rows: int
    batch_size: int
    n_epochs: int
    total_steps: int
    learning_rate_multiplier: float
    learning_rate: float
    """The optimizer's, multiplier included."""
    compute_multiplier: float
    samples_per_prompt: int
    eval_interval: int
    eval_samples: int
    reasoning_effort: str
    max_completion_tokens: int
    temperature: float
    top_p: float
    loss: str
    kl_coef: float
    clip_low: float
    clip_high: float
    inner_epochs: int
    lora_rank: int
    """0 where there is no adapter and every weight is trained."""
    lora_alpha: float
    overlong: str
    failed_sample: str
    grader_error_limit: float
    final_checkpoint: str
    budget_seconds: float | None
    sampling_rows: int
    # What plans of earlier versions do not have:
    replacement_rounds: int = 0
    """How often a step may replace groups without spread."""
    max_staleness: int = 0
    priority: int = 0

    @classmethod
    def from_json(cls, value: Json) -> Plan:
        """The inverse of `to_json`, to be shown: what a newer version of the service has added is left out."""
        return cls(**{name: value[name] for name in value.keys() & _names()})

    @classmethod
    def to_run(cls, value: Json) -> Plan:
        """The inverse of `to_json`; raises `Unavailable` where only a newer version of the service knows what was planned."""
        if newer := value.keys() - _names():
            raise Unavailable(f"The job was planned by a newer version of the service, which knows {', '.join(sorted(newer))}.")
        return cls.from_json(value)

    def to_json(self) -> Json:
        """Plain values for the job's row."""
        return asdict(self)

    @property
    def is_full(self) -> bool:
        """Whether every weight is trained, and checkpoints are whole models."""
        return self.lora_rank == 0

    def hyperparameters(self) -> Json:
        """The resolved numbers under OpenAI's names."""
        names = ("batch_size", "learning_rate_multiplier", "n_epochs", "compute_multiplier", "eval_interval", "eval_samples")
        return {**{name: getattr(self, name) for name in names}, "reasoning_effort": self.reasoning_effort}

    def options(self) -> Json:
        """The resolved values of the `touchstone` object."""
        return {
            "samples_per_prompt": self.samples_per_prompt,
            "max_completion_tokens": self.max_completion_tokens,
            "temperature": self.temperature,
            "top_p": self.top_p,
            "learning_rate": self.learning_rate / self.learning_rate_multiplier,
            "loss": self.loss,
            "kl_coef": self.kl_coef,
            "clip": {"low": self.clip_low, "high": self.clip_high},
            "inner_epochs": self.inner_epochs,
            "adapter": {"type": "full"} if self.is_full else {"type": "lora", "rank": self.lora_rank, "alpha": self.lora_alpha},
            "overlong": self.overlong,
            "failed_sample": self.failed_sample,
            "grader_error_limit": self.grader_error_limit,
            "final_checkpoint": self.final_checkpoint,
            "budget_seconds": self.budget_seconds,
            "dynamic_sampling": {"max_rounds": self.replacement_rounds} if self.replacement_rounds else None,
            "max_staleness": self.max_staleness,
            "priority": self.priority,
        }


def _names() -> set[str]:
    return {field.name for field in fields(Plan)}


def resolve(hyperparameters: Hyperparameters, options: Options, *, train_rows: int, valid_rows: int) -> Plan:
    """The plan of a job whose files have this many rows, by the rules of the module's docstring."""
    asked = hyperparameters
    batch_size = asked.batch_size if asked.batch_size != "auto" else min(train_rows, max(4, min(16, train_rows // 8)))
    batch_size = min(batch_size, train_rows)
    steps_an_epoch = math.ceil(train_rows / batch_size)
    n_epochs = asked.n_epochs if asked.n_epochs != "auto" else max(1, min(10, round(48 / steps_an_epoch)))
    total_steps = steps_an_epoch * n_epochs
    compute = asked.compute_multiplier if asked.compute_multiplier != "auto" else 1.0
    multiplier = asked.learning_rate_multiplier if asked.learning_rate_multiplier != "auto" else 1.0
    eval_samples = max(1, min(4, 32 // max(valid_rows, 1)))
    lora = options.adapter if isinstance(options.adapter, LoraAdapter) else None
    learning_rate = options.learning_rate or (BASE_LEARNING_RATE if lora else FULL_LEARNING_RATE)
    clip_low, clip_high = CLIPS.get(options.loss, DEFAULT_CLIP)
    return Plan(
        train_rows=train_rows,
        valid_rows=valid_rows,
        batch_size=batch_size,
        n_epochs=n_epochs,
        total_steps=total_steps,
        learning_rate_multiplier=multiplier,
        learning_rate=learning_rate * multiplier,
        compute_multiplier=compute,
        samples_per_prompt=options.samples_per_prompt or max(2, round(SAMPLES_PER_PROMPT * compute)),
        eval_interval=asked.eval_interval if asked.eval_interval != "auto" else max(1, total_steps // 12),
        eval_samples=asked.eval_samples if asked.eval_samples != "auto" else eval_samples,
        reasoning_effort=asked.reasoning_effort,
        max_completion_tokens=options.max_completion_tokens,
        temperature=options.temperature,
        top_p=options.top_p,
        loss=options.loss,
        kl_coef=options.kl_coef,
        clip_low=options.clip.low or clip_low,
        clip_high=options.clip.high or clip_high,
        inner_epochs=options.inner_epochs,
        lora_rank=lora.rank if lora else 0,
        lora_alpha=lora.alpha if lora else 0.0,
        overlong=options.overlong,
        failed_sample=options.failed_sample,
        grader_error_limit=options.grader_error_limit,
        final_checkpoint=options.final_checkpoint,
        budget_seconds=options.budget_seconds,
        sampling_rows=SAMPLING_ROWS,
        replacement_rounds=options.dynamic_sampling.max_rounds if options.dynamic_sampling else 0,
        max_staleness=options.max_staleness,
        priority=options.priority,
    )
