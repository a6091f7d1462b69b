"""The vLLM engine in remote mode: a `vllm serve` elsewhere samples, and is given the policy as an adapter after every update.

The server may be shared: every job has adapters of its own there. One that was away is waited for, gets the adapter again, and is
asked for what was not finished, once.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import uuid
from collections.abc import Callable, Coroutine, Sequence, Set
from itertools import count
from pathlib import Path
from typing import Any, Protocol, TypeVar

from core.models import VllmServer
from core.response_format import ResponseFormat
from worker.rollout.base import Completion, EngineLost, Finished, PromptGroup, SamplingParams, StopReason, unheard
from worker.rollout.vllm_http import ServerRefused, VllmHttp

log = logging.getLogger("worker.rollout.vllm_remote")

T = TypeVar("T")
Json = dict[str, Any]
Sequences = Sequence[tuple[Sequence[int], Sequence[int]]]

AWAY_PATIENCES = 10
"""How long a server may be away, in units of the patience: one that is started again loads its model first."""
_SEEDS = 2**63
_PROBE: Json = {"prompt": [0, 1, 2], "max_tokens": 1, "logprobs": 5, "seed": 0}
_SAME = 1e-2
"""Log-probabilities no further apart are the same, in any type of weights."""


class AdapterSource(Protocol):
    """What the engine needs of the policy."""

    def save_checkpoint(self, directory: Path) -> None:
        """Write the adapter as `peft` loads it."""


class RemoteVllmEngine:
    """Implements `RolloutEngine` and `SyncedEngine`.

    Raises `ServerRefused` where the server cannot do what the job needs, `EngineLost` where it is lost twice, or not found again.
    """

    def __init__(
        self,
        server: VllmServer,
        job_id: str,
        weights: AdapterSource,
        stop_ids: Set[int],
        *,
        max_len: int,
        number: int = 1,
        patience_seconds: float = 60.0,
        restarted: Callable[[str], None] = log.warning,
    ) -> None:
        """`max_len` is the longest sequence, `number` tells the job's engines apart.

        `restarted` is told why, whenever the server was lost and found again.
        """
        self._server, self._weights, self._stop_ids = server, weights, sorted(stop_ids)
        self._of_job, self._prefix = f"rft-{job_id}-", f"rft-{job_id}-{number}-"
        self._patience, self._restarted = patience_seconds, restarted
        self._run, self._versions = uuid.uuid4().hex[:8], count(1)
        self._adapter: str | None = None
        log.info("vLLM server: %s", server.url)
        self._with_retry(lambda http: self._begin(http, max_len))
        self.sync()
        self._at_temperature = self._with_retry(self._is_processed)

    def generate(
        self, groups_P: Sequence[PromptGroup], params: SamplingParams, finished: Finished = unheard
    ) -> list[list[Completion]]:
        """See `RolloutEngine.generate`. Tokens repeat as far as vLLM's arithmetic does, which depends on how requests meet."""
        self._assert_possible(params)
        done: dict[tuple[int, int], Completion] = {}

        async def sample(http: VllmHttp, place: tuple[int, int], prompt_T: Sequence[int], seed: int) -> None:
            done[place] = await self._sample(http, prompt_T, seed, params)
            finished(*place, done[place])

        async def missing(http: VllmHttp) -> None:
            async with asyncio.TaskGroup() as tasks:
                for g, group in enumerate(groups_P):
                    for m, seed in enumerate(group.seeds_G):
                        if (g, m) not in done:
                            tasks.create_task(sample(http, (g, m), group.prompt_T, seed))

        self._with_retry(missing)
        return [[done[g, m] for m in range(len(group.seeds_G))] for g, group in enumerate(groups_P)]

    def score(self, sequences: Sequences, temperature: float) -> list[list[float]]:
        """See `SyncedEngine.score`; at a temperature of 1 alone."""
        assert temperature == 1.0, "a server's scores are those at a temperature of 1"

        async def scores(http: VllmHttp) -> list[list[float]]:
            return list(await asyncio.gather(*(self._score(http, *sequence) for sequence in sequences)))

        return self._with_retry(scores)

    def sync(self) -> None:
        """See `RolloutEngine.sync`."""
        old, self._adapter = self._adapter, f"{self._prefix}{self._run}-{next(self._versions)}"
        self._weights.save_checkpoint(self._directory(self._adapter))

        async def swap(http: VllmHttp) -> None:
            await self._load(http)
            if old is not None:
                await http.unload_adapter(old)

        self._with_retry(swap)
        if old is not None:
            shutil.rmtree(self._directory(old))

    def rest(self) -> None:
        """See `SyncedEngine.rest`: the server has a device of its own."""

    def close(self) -> None:
        """Take the job's adapter from the server, which goes on without us."""
        try:
            if self._adapter is not None:
                asyncio.run(self._alone(lambda http: http.unload_adapter(str(self._adapter))))
        except (EngineLost, ServerRefused) as error:
            log.warning("%s", error.message)
        if self._adapter is not None:
            shutil.rmtree(self._directory(self._adapter), ignore_errors=True)

    def _directory(self, adapter: str) -> Path:
        return self._server.adapter_dir / adapter

    def _with_retry(self, work: Callable[[VllmHttp], Coroutine[Any, Any, T]]) -> T:
        """What `work` gives, at the second attempt where the server is lost in the first."""
        try:
            return asyncio.run(self._alone(work))
        except EngineLost as lost:
            asyncio.run(self._find_again())
            self._restarted(f"{lost.message} It is there again, and goes on with what was not finished.")
            return asyncio.run(self._alone(work))

    async def _find_again(self) -> None:
        """Wait for the server, and see that it serves the adapter."""
        async with VllmHttp(self._server, self._patience) as http:
            await http.wait_until_there(AWAY_PATIENCES * self._patience)
            await http.watched(self._load(http))

    async def _alone(self, work: Callable[[VllmHttp], Coroutine[Any, Any, T]]) -> T:
        """The work, watched. Of errors that come together the first is raised: it has ended the others."""
        async with VllmHttp(self._server, self._patience) as http:
            try:
                return await http.watched(work(http))
            except ExceptionGroup as group:
                raise group.exceptions[0] from group

    async def _begin(self, http: VllmHttp, max_len: int) -> None:
        """Look at the server, and take away what a runner that died has left there."""
        served = await http.models()
        if served.max_model_len <= max_len:
            raise ServerRefused(
                f"The model's vLLM server takes sequences below {served.max_model_len} tokens, and the model's "
                f"may have {max_len}: set its max_model_len in the models file to {served.max_model_len - 1}, or start the "
                "server with more."
            )
        for adapter in served.adapters:
            if adapter.startswith(self._of_job):
                await http.unload_adapter(adapter)
        for left in self._server.adapter_dir.glob(f"{self._prefix}*"):
            shutil.rmtree(left, ignore_errors=True)

    async def _is_processed(self, http: VllmHttp) -> bool:
        """Whether the server's log-probabilities are those behind temperature and top-p, or those before."""
        hot, cold = [await self._likeliest(http, temperature) for temperature in (1.0, 0.25)]
        return max(abs(a - b) for a, b in zip(hot, cold, strict=True)) > _SAME

    async def _likeliest(self, http: VllmHttp, temperature: float) -> list[float]:
        choice = await http.complete({**_PROBE, "model": self._adapter, "temperature": temperature})
        return sorted(choice["logprobs"]["top_logprobs"][0].values(), reverse=True)[: _PROBE["logprobs"]]

    def _assert_possible(self, params: SamplingParams) -> None:
        """Raises `ServerRefused` where the server's log-probabilities would not be those of the policy at its temperature."""
        if params.temperature in (0.0, 1.0) or (self._at_temperature and params.top_p == 1 and params.response_format is None):
            return
        raise ServerRefused(
            f"The model's vLLM server gives no log-probabilities at a temperature of {params.temperature:g}. Use 1; or "
            "start it with --logprobs-mode processed_logprobs, and sample with neither top_p nor a response_format."
        )

    async def _load(self, http: VllmHttp) -> None:
        """Have the server serve the newest adapter; nothing where an attempt before has got so far."""
        if self._adapter is not None and self._adapter not in (await http.models()).adapters:
            await http.load_adapter(self._adapter, self._directory(self._adapter))

    async def _sample(self, http: VllmHttp, prompt_T: Sequence[int], seed: int, params: SamplingParams) -> Completion:
        choice = await http.complete(
            {
                **_body(str(self._adapter), prompt_T, params),
                "seed": seed % _SEEDS,
                "stop_token_ids": self._stop_ids,
                "ignore_eos": True,  # the stop tokens say all there is to say about ends
                "logprobs": 0,
            }
        )
        tokens, logprobs = tuple(choice["token_ids"]), choice["logprobs"]["token_logprobs"]
        if params.response_format is not None or (self._at_temperature and params.top_p < 1):
            logprobs = await self._score(http, prompt_T, tokens)  # the server's are of the distribution that was cut
        return Completion(tokens, tuple(logprobs), StopReason(choice["finish_reason"]))

    async def _score(self, http: VllmHttp, prompt_T: Sequence[int], completion_T: Sequence[int]) -> list[float]:
        body = {
            "model": self._adapter,
            "prompt": [*prompt_T, *completion_T],
            "max_tokens": 1,
            "temperature": 0,
            "prompt_logprobs": 0,
        }
        rows = (await http.complete(body))["prompt_logprobs"][len(prompt_T) :]
        return [float(row[str(token)]["logprob"]) for token, row in zip(completion_T, rows, strict=True)]


def _body(model: str, prompt_T: Sequence[int], params: SamplingParams) -> Json:
    """What decides the distribution, in full: what is left out a server takes from the model's `generation_config`."""
    neutral = {"top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0, "presence_penalty": 0.0, "frequency_penalty": 0.0}
    wanted = {"temperature": params.temperature, "top_p": params.top_p, "max_tokens": params.max_tokens, "min_tokens": 0}
    return {"model": model, "prompt": list(prompt_T), **neutral, **wanted, **_held_to(params.response_format)}


def _held_to(wanted: ResponseFormat | None) -> Json:
    return {} if wanted is None else {"structured_outputs": {"json": wanted.steered_schema}}
