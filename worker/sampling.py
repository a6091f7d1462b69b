"""The sampling batches of a step: sampled or read back, graded while sampling goes on, kept before they are used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from threading import Event
from time import monotonic
from typing import Any, Protocol

from core.errors import QuotaExceeded
from core.failpoints import hit
from core.jobs.base import Journal
from core.jobs.history import History
from core.jobs.plan import Plan
from core.jobs.types import BatchRecord, Lease, Wish
from core.lifeline import mark_progress
from core.response_format import ResponseFormat
from core.storage.base import ObjectKey, ObjectStore
from core.telemetry.phases import timed
from graders.completion import sample_of
from worker import rollouts
from worker.grading import GradingPool
from worker.policy.advantages import BASELINES, Baseline, group_advantages, overlong_penalty
from worker.rollout.base import Completion, PromptGroup, RolloutEngine, SamplingParams
from worker.rollouts import Batch, Result, Rollout
from worker.seeds import sample_seed
from worker.spelling import Spelling


class LetGo(Exception):
    """The job was paused: save what there is and release the lease. Not an error."""


class SamplingStopped(Exception):
    """Nobody wants the batches under way any more."""


class Chat(Protocol):
    """Renders prompts and reads completions."""

    def prompt(self, messages: Sequence[dict[str, Any]], tools: Sequence[dict[str, Any]] | None = None) -> tuple[int, ...]:
        """Tokens of a conversation, ready for the answer."""

    def text(self, ids: Sequence[int]) -> str:
        """Text of sampled tokens."""

    def transcript(self, ids: Sequence[int]) -> str:
        """Text of a prompt's tokens, special tokens shown."""


@dataclass(frozen=True)
class Prompt:
    """One row of a dataset, rendered."""

    example: int
    item: dict[str, Any]
    tokens_T: tuple[int, ...]


@dataclass(frozen=True)
class Wanted:
    """What a step wants sampled: `samples` completions of each prompt."""

    split: str
    step: int
    prompts: Sequence[Prompt]
    samples: int
    policy_version: int
    """Updates in the engine's weights."""
    first_index: int = 0
    """Of its batches among the step's."""

    def batches(self, max_rows: int) -> Iterator[tuple[int, Sequence[Prompt]]]:
        """Cut into sampling batches of whole groups, at most `max_rows` rows (or one group) each. Depends on the plan alone."""
        size = max(1, max_rows // self.samples)
        for index, begin in enumerate(range(0, len(self.prompts), size), self.first_index):
            yield index, self.prompts[begin : begin + size]


@dataclass(frozen=True)
class Answer:
    """A completion's text, and the grade to come."""

    text: str
    grade: Future[Result]


@dataclass(frozen=True)
class Sampled:
    """A step's batches, and the seconds that went into them."""

    batches: tuple[Batch, ...]
    seconds: float

    @property
    def rollouts(self) -> list[Rollout]:
        """All rollouts in order."""
        return rollouts.samples(self.batches)

    def __add__(self, other: Sampled) -> Sampled:
        return Sampled(self.batches + other.batches, self.seconds + other.seconds)


class BatchSampler:
    """Samples, grades and keeps the batches of one job."""

    def __init__(
        self,
        *,
        lease: Lease,
        plan: Plan,
        job_seed: int,
        engine: RolloutEngine,
        grading: GradingPool,
        chat: Chat,
        objects: ObjectStore,
        journal: Journal,
        history: History,
        response_format: ResponseFormat | None = None,
    ) -> None:
        self._lease, self._plan, self._job_seed = lease, plan, job_seed
        self._engine, self._grading, self._chat = engine, grading, chat
        self._objects, self._journal, self._history = objects, journal, history
        self._spelling = Spelling(chat.text)
        self._keeping = ThreadPoolExecutor(max_workers=1, thread_name_prefix="keeping")
        self._params = SamplingParams(plan.max_completion_tokens, plan.temperature, plan.top_p, response_format)
        self._stopped = Event()

    def stop(self) -> None:
        """End a `run` on another thread with `SamplingStopped`, at the next completion's end."""
        self._stopped.set()

    def close(self) -> None:
        """Wait for the grading under way."""
        self._grading.close()
        self._keeping.shutdown()

    def run(self, wanted: Wanted) -> Sampled:
        """Every batch of `wanted`: kept ones are read back, the rest is sampled. Raises `LetGo` at a border between batches.

        Raises `GraderFailing` where the grader was found not to work; the batch at which that happened is not kept.
        """
        begin = monotonic()
        kept = {record.index: record for record in self._history.batches(wanted.split, wanted.step)}
        done: dict[int, Batch] = {}
        pending: dict[int, Future[tuple[Batch, Wish]]] = {}
        for index, prompts in wanted.batches(self._plan.sampling_rows):
            if index in kept:
                done[index] = self._read(kept[index])
                continue
            _honour(pending)
            completions, answers = self._sample(wanted, prompts)
            pending[index] = self._keeping.submit(self._keep, wanted, index, prompts, completions, answers)
        for index, future in pending.items():
            with timed("grade"):
                batch, wish = future.result()
            done[index] = batch
            if wish is Wish.LET_GO:
                raise LetGo
        return Sampled(tuple(done[index] for index in sorted(done)), monotonic() - begin)

    def _sample(self, wanted: Wanted, prompts: Sequence[Prompt]) -> tuple[list[list[Completion]], dict[tuple[int, int], Answer]]:
        """A batch's completions, and their answers by group and member: each is graded from the moment it has ended."""
        answers: dict[tuple[int, int], Answer] = {}
        as_json = self._params.response_format is not None

        def grade(group: int, member: int, completion: Completion) -> None:
            if self._stopped.is_set():
                raise SamplingStopped
            text = self._chat.text(completion.tokens_T)
            answers[group, member] = Answer(text, self._grading.submit(sample_of(prompts[group].item, text, as_json=as_json)))
            mark_progress()
            hit("mid_sampling" if wanted.split == "train" else "mid_evaluation")

        groups = [PromptGroup(prompt.tokens_T, self._seeds(wanted, prompt)) for prompt in prompts]
        return self._engine.generate(groups, self._params, grade), answers

    def _seeds(self, wanted: Wanted, prompt: Prompt) -> tuple[int, ...]:
        # Validation draws with the same luck at every step, so that its curve shows the policy and not the dice.
        step = wanted.step if wanted.split == "train" else 0
        return tuple(sample_seed(self._job_seed, wanted.split, step, prompt.example, i) for i in range(wanted.samples))

    def _keep(
        self,
        wanted: Wanted,
        index: int,
        prompts: Sequence[Prompt],
        completions: Sequence[Sequence[Completion]],
        answers: Mapping[tuple[int, int], Answer],
    ) -> tuple[Batch, Wish]:
        """Wait for a batch's grades, then keep it."""
        graded = tuple(self._graded(wanted, prompts, completions, answers))
        batch = Batch(wanted.split, wanted.step, index, graded, wanted.policy_version)
        self._grading.accept([rollout.result for rollout in batch.rollouts])
        key = ObjectKey.of(
            self._lease.project_id,
            "jobs",
            self._lease.job_id,
            f"e{self._lease.epoch}",
            "rollouts",
            f"{wanted.split}-{wanted.step}-{index}.parquet",
        )
        stored = self._objects.put(key, [rollouts.write(batch)])
        counts = (len(batch.rollouts), stored.bytes)
        record = BatchRecord(wanted.split, wanted.step, index, str(key), stored.sha256, *counts)  # type: ignore[arg-type]
        hit("before_batch_row")
        try:
            wish = self._journal.keep_batch(record)
        except QuotaExceeded:
            self._objects.delete(key)
            raise
        hit("after_batch_row")
        return batch, wish

    def _graded(
        self,
        wanted: Wanted,
        prompts: Sequence[Prompt],
        completions: Sequence[Sequence[Completion]],
        answers: Mapping[tuple[int, int], Answer],
    ) -> Iterator[Rollout]:
        for position, (prompt, group) in enumerate(zip(prompts, completions, strict=True)):
            transcript = self._chat.transcript(prompt.tokens_T)
            members = [
                Rollout(
                    example=prompt.example,
                    sample=i,
                    seed=seed,
                    prompt=transcript,
                    prompt_tokens=len(prompt.tokens_T),
                    text=answers[position, i].text,
                    completion=completion,
                    result=answers[position, i].grade.result(),
                    advantage=None,
                    token_chars_T=self._spelling.lengths(completion.tokens_T, answers[position, i].text),
                )
                for i, (seed, completion) in enumerate(zip(self._seeds(wanted, prompt), group, strict=True))
            ]
            yield from with_advantages(members, self._plan)

    def _read(self, record: BatchRecord) -> Batch:
        with self._objects.open(ObjectKey.parse(record.object_key)) as stream:
            return rollouts.read(stream)


def with_advantages(members: Sequence[Rollout], plan: Plan) -> list[Rollout]:
    """The members of one group with their advantages filled in; None for those without a grade.

    With `overlong: penalize` a long completion's reward is lowered here, and nowhere that rewards are reported.
    """
    rewards = [member.reward for member in members]
    if plan.overlong == "penalize":
        lengths = [len(member.completion.tokens_T) for member in members]
        rewards = [
            None if reward is None else reward + overlong_penalty(length, plan.max_completion_tokens)
            for reward, length in zip(rewards, lengths, strict=True)
        ]
    advantages = group_advantages(rewards, BASELINES.get(plan.loss, Baseline.STANDARD))
    return [replace(member, advantage=advantage) for member, advantage in zip(members, advantages, strict=True)]


def _honour(pending: dict[int, Future[tuple[Batch, Wish]]]) -> None:
    """Raise what a finished grading found: its error, or the wish to let go."""
    for future in pending.values():
        if future.done() and future.result()[1] is Wish.LET_GO:
            raise LetGo
