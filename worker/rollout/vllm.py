"""The engine of GPU workers: vLLM in a process of its own, given the policy's newest weights after every update.

An engine process that is lost is started again in place, gets the policy's weights, and goes on with what was not finished, once.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence, Set
from itertools import count
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Protocol, TypeVar

import psutil

from core.response_format import ResponseFormat
from worker.rollout.base import Completion, EngineLost, Finished, PromptGroup, SamplingParams, StopReason, unheard
from worker.rollout.vllm_process import VllmOptions, VllmProcess

# Behind the module that sets vLLM's environment.
from vllm import SamplingParams as VllmSamplingParams  # isort: skip
from vllm.lora.request import LoRARequest  # isort: skip
from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams  # isort: skip

log = logging.getLogger("worker.rollout.vllm")

T = TypeVar("T")
Ended = tuple[int, int, Completion]
Sequences = Sequence[tuple[Sequence[int], Sequence[int]]]

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108
"""Where weights pass from trainer to engine: files that never touch a disk."""
_PREFIX = "rft-weights-"
_SEEDS = 2**63


class WeightSource(Protocol):
    """What the engine needs of the policy."""

    def save_checkpoint(self, directory: Path) -> None:
        """Write the adapter as `peft` loads it, or all weights as a plain model directory where they are trained."""


class VllmEngine:
    """Implements `RolloutEngine` and `SyncedEngine`. Raises `EngineLost` where an engine cannot be started or is lost twice."""

    def __init__(
        self,
        model: Path,
        weights: WeightSource,
        stop_ids: Set[int],
        options: VllmOptions,
        restarted: Callable[[str], None] = log.warning,
    ) -> None:
        """`restarted` is told why, whenever an engine process has been replaced."""
        self._model, self._weights, self._stop_ids, self._options = model, weights, sorted(stop_ids), options
        self._restarted = restarted
        self._versions, self._requests = count(1), count()
        self._written: Path | None = None
        _sweep()
        self._process = self._start()
        self.sync()

    @property
    def pids(self) -> tuple[int, ...]:
        """The engine's processes."""
        return self._process.pids

    def generate(
        self, groups_P: Sequence[PromptGroup], params: SamplingParams, finished: Finished = unheard
    ) -> list[list[Completion]]:
        """See `RolloutEngine.generate`. Tokens repeat as far as vLLM's arithmetic does, which depends on how requests meet."""
        done: dict[tuple[int, int], Completion] = {}

        def missing() -> None:
            said: SimpleQueue[Ended | None] = SimpleQueue()
            self._scale(params.temperature)
            hearing = self._process.listen(self._generate(groups_P, params, set(done), said), said)
            for group, member, completion in hearing:
                done[group, member] = completion
                finished(group, member, completion)
            hearing.result()

        self._with_restart(missing)
        return [[done[g, m] for m in range(len(group.seeds_G))] for g, group in enumerate(groups_P)]

    def score(self, sequences: Sequences, temperature: float) -> list[list[float]]:
        """See `SyncedEngine.score`."""

        def scores() -> list[list[float]]:
            self._scale(temperature)
            return self._process.ask(self._score(sequences))

        return self._with_restart(scores)

    def sync(self) -> None:
        """See `RolloutEngine.sync`."""
        self._forget_written()
        self._with_restart(self._take_weights)

    def rest(self) -> None:
        """See `SyncedEngine.rest`."""
        if self._options.sleep:
            self._process.ask(self._process.engine.sleep(level=1))

    def close(self) -> None:
        """End the engine process."""
        self._process.close()
        self._forget_written()

    def _with_restart(self, work: Callable[[], T]) -> T:
        """What `work` gives, at the second attempt where the engine is lost in the first."""
        try:
            return work()
        except EngineLost as lost:
            self._process.close()
            self._process = self._start()
            self._take_weights()
            self._restarted(f"{lost.message} It was started again, and goes on with what was not finished.")
            return work()

    def _start(self) -> VllmProcess:
        self._lora: LoRARequest | None = None
        self._scaled = 1.0
        return VllmProcess(self._model, self._options)

    def _take_weights(self) -> None:
        engine = self._process.engine
        if self._options.sleep and self._process.ask(engine.is_sleeping()):
            self._process.ask(engine.wake_up())
        directory = self._written or self._write()
        if self._options.sync == "lora":
            self._swap_adapter(directory)
        else:
            self._process.ask(engine.collective_rpc("take_weights", args=(str(self._model), str(directory))))
            # Keys and values of the old weights must not be mistaken for those of the new.
            self._process.ask(engine.reset_prefix_cache())
        if not self._options.ahead:
            self._forget_written()

    def _write(self) -> Path:
        """The policy's weights as files, which are kept where a lost engine must get the same ones again."""
        self._written = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=_place()))
        self._weights.save_checkpoint(self._written)
        return self._written

    def _forget_written(self) -> None:
        if self._written is not None:
            shutil.rmtree(self._written)
            self._written = None

    def _swap_adapter(self, directory: Path) -> None:
        version, engine = next(self._versions), self._process.engine
        fresh, old = LoRARequest(f"policy-{version}", version, str(directory)), self._lora
        if old is not None:
            self._process.ask(engine.remove_lora(old.lora_int_id))
        self._process.ask(engine.add_lora(fresh))
        self._lora = fresh

    def _scale(self, temperature: float) -> None:
        """Have all log-probabilities be those at this temperature; at 0 those at 1."""
        scale = 1 / (temperature or 1.0)
        if scale != self._scaled:
            self._process.ask(self._process.engine.collective_rpc("scale_logits", args=(scale,)))
            # Cached keys and values stay good: only what follows the last layer has changed.
            self._scaled = scale

    async def _generate(
        self, groups_P: Sequence[PromptGroup], params: SamplingParams, done: Set[tuple[int, int]], said: SimpleQueue[Ended | None]
    ) -> None:
        async with asyncio.TaskGroup() as tasks:
            for g, group in enumerate(groups_P):
                for m, seed in enumerate(group.seeds_G):
                    if (g, m) not in done:
                        tasks.create_task(self._tell(g, m, self._sample(group.prompt_T, seed, params), said))

    async def _tell(self, group: int, member: int, sample: Any, said: SimpleQueue[Ended | None]) -> None:
        said.put((group, member, await sample))

    async def _sample(self, prompt_T: Sequence[int], seed: int, params: SamplingParams) -> Completion:
        asked = VllmSamplingParams(
            seed=seed % _SEEDS,
            temperature=1.0 if params.temperature else 0.0,  # the logits are scaled already
            top_p=params.top_p,
            max_tokens=params.max_tokens,
            stop_token_ids=self._stop_ids,
            ignore_eos=True,  # the stop tokens say all there is to say about ends
            logprobs=0,
            detokenize=False,
            output_kind=RequestOutputKind.FINAL_ONLY,
            structured_outputs=_held_to(params.response_format),
        )
        output = await self._answer(prompt_T, asked)
        (completion,) = output.outputs
        tokens = tuple(completion.token_ids)
        if params.response_format is None:
            logprobs = [row[token].logprob for token, row in zip(tokens, completion.logprobs, strict=True)]
        else:  # vLLM's are of the masked distribution; the policy's own take a forward pass more
            (logprobs,) = await self._score([(prompt_T, tokens)])
        return Completion(tokens, tuple(logprobs), StopReason.STOP if completion.finish_reason == "stop" else StopReason.LENGTH)

    async def _score(self, sequences: Sequences) -> list[list[float]]:
        asked = VllmSamplingParams(
            max_tokens=1, temperature=0.0, prompt_logprobs=0, detokenize=False, output_kind=RequestOutputKind.FINAL_ONLY
        )
        async with asyncio.TaskGroup() as tasks:
            answers = [tasks.create_task(self._answer([*prompt, *completion], asked)) for prompt, completion in sequences]
        return [
            [row[token].logprob for token, row in zip(completion, answer.result().prompt_logprobs[len(prompt) :], strict=True)]
            for (prompt, completion), answer in zip(sequences, answers, strict=True)
        ]

    async def _answer(self, tokens: Sequence[int], asked: VllmSamplingParams) -> Any:
        """The one final output of a request."""
        request = self._process.engine.generate(
            {"prompt_token_ids": list(tokens)}, asked, f"request-{next(self._requests)}", lora_request=self._lora
        )
        return [output async for output in request][-1]


def _held_to(wanted: ResponseFormat | None) -> StructuredOutputsParams | None:
    return None if wanted is None else StructuredOutputsParams(json=wanted.steered_schema)


def _place() -> Path:
    return SHARED_MEMORY if SHARED_MEMORY.is_dir() else Path(tempfile.gettempdir())


def _sweep() -> None:
    """Take away what runners that were killed have left in memory."""
    for left in _place().glob(f"{_PREFIX}*-*"):
        owner = left.name.removeprefix(_PREFIX).partition("-")[0]
        if owner.isdigit() and not psutil.pid_exists(int(owner)):
            shutil.rmtree(left, ignore_errors=True)
