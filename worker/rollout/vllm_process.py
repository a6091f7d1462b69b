"""One vLLM engine process and its client: started, watched, asked, killed.

The client's event loop runs on a thread of its own. A process that has died, or does not answer, is told of as `EngineLost`.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Generic, Literal, TypeVar

import psutil

from core.settings import variable
from worker.policy.model import FUSED
from worker.rollout.base import EngineLost
from worker.rollout.vllm_worker import OWNER_VARIABLE, WorkerExtension

_DEFAULTS = {
    "VLLM_LOGGING_LEVEL": "WARNING",
    "VLLM_CPU_KVCACHE_SPACE": "2",
    "VLLM_CPU_NUM_OF_RESERVED_CPU": "0",  # by itself it leaves a core to others, which is half of a machine with two
}
_FIXED = {
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_WORKER_MULTIPROC_METHOD": "spawn",  # torch is never forked
    "VLLM_ALLOW_LONG_MAX_MODEL_LEN": "1",  # for the one token beyond, see `_arguments`
}
os.environ.update({name: value for name, value in _DEFAULTS.items() if not variable(name)} | _FIXED)

from vllm import AsyncEngineArgs  # noqa: E402  - it reads the environment when it is imported
from vllm.platforms import current_platform  # noqa: E402
from vllm.v1.engine.async_llm import AsyncLLM  # noqa: E402
from vllm.v1.engine.exceptions import EngineDeadError  # noqa: E402

T = TypeVar("T")
Said = TypeVar("Said")

_START_SECONDS = 3600.0
"""Loading and compiling the largest models takes many minutes; a start that hangs must end."""
_LORA_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
"""Ranks that vLLM makes room for; an adapter may have a smaller one."""


@dataclass(frozen=True)
class VllmOptions:
    """How vLLM runs.

    `sync` is how weights arrive: `lora` loads the adapter beside the base model, `merged` replaces the engine's weights, by base
    plus adapter (faster where LoRA kernels are slow, on CPUs) or by those of full fine-tuning. `sleep` gives the device's memory
    up during updates.
    """

    max_model_len: int
    dtype: str = "float32"
    sync: Literal["lora", "merged"] = "lora"
    max_lora_rank: int = 16
    tensor_parallel_size: int = 1
    data_parallel_size: int = 1
    gpu_memory_utilization: float = 0.85
    sleep: bool = False
    eager: bool = False
    """Without compilation: starts sooner, samples slower."""
    max_num_seqs: int = 256
    ahead: bool = False
    """It samples while the policy is updated: started again it gets the weights of its last sync, which are kept for that."""
    patience_seconds: float = 60.0
    """An engine that does nothing visible for so long is asked for a sign of life, and has as long again to give it."""


class VllmProcess:
    """A running engine. Raises `EngineLost` where it cannot be started."""

    def __init__(self, model: Path, options: VllmOptions) -> None:
        os.environ[OWNER_VARIABLE] = str(os.getpid())
        self._patience = options.patience_seconds
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="vllm", daemon=True)
        self._thread.start()

        async def start() -> AsyncLLM:
            return AsyncLLM.from_engine_args(_arguments(model, options))

        try:
            self.engine = self._submit(start()).result(_START_SECONDS)
        except TimeoutError:  # its thread is stuck, and ends with this process
            raise EngineLost(f"The engine was not ready after {_START_SECONDS:g} seconds.") from None
        except (RuntimeError, EngineDeadError, ValueError) as error:
            self._end_thread()
            raise EngineLost(f"The engine could not be started: {error}") from error

    @property
    def pids(self) -> tuple[int, ...]:
        """All processes of the engine."""
        manager = self.engine.engine_core.resources.engine_manager
        pids: list[int] = []
        for process in manager.processes if manager is not None else ():
            with suppress(psutil.NoSuchProcess):
                parent = psutil.Process(process.pid)
                pids += [parent.pid, *(child.pid for child in parent.children(recursive=True))]
        return tuple(pids)

    def ask(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of some work on the client's thread."""
        return Hearing[T, None](self, work, SimpleQueue()).result()

    def listen(self, work: Coroutine[Any, Any, T], said: SimpleQueue[Said | None]) -> Hearing[T, Said]:
        """Some work on the client's thread that puts what it has to say into a queue."""
        return Hearing(self, work, said)

    def close(self) -> None:
        """End the process at once, in whatever state it is; what was asked of it is lost. Once more does nothing."""
        if self._loop.is_closed():
            return
        for pid in self.pids:
            with suppress(psutil.NoSuchProcess):
                psutil.Process(pid).kill()
        self._loop.call_soon_threadsafe(self.engine.shutdown, 0.0)
        self._end_thread()

    def _end_thread(self) -> None:
        async def settle() -> None:
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        self._submit(settle()).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def _assert_alive(self) -> None:
        """Have the engine answer something easy, which it does between two of its steps."""
        answer = self._submit(self.engine.is_sleeping())
        try:
            answer.result(self._patience)
        except TimeoutError:
            answer.cancel()
            raise EngineLost(f"The engine has given no sign of life for {self._patience:g} seconds.") from None
        except EngineDeadError:
            raise EngineLost("The engine process has died.") from None


class Hearing(Generic[T, Said]):
    """Work under way on an engine's thread: what it says while it lasts, then its result. Left early, it is cancelled."""

    def __init__(self, process: VllmProcess, work: Coroutine[Any, Any, T], said: SimpleQueue[Said | None]) -> None:
        self._process, self._said = process, said
        self._silent = False
        self._future = process._submit(work)
        self._future.add_done_callback(lambda _: said.put(None))

    def __iter__(self) -> Iterator[Said]:
        """All that is said, as soon as it is. Raises `EngineLost` where the engine falls silent."""
        try:
            while (thing := None if self._silent else self._next()) is not None:
                yield thing
            self._silent = True
        finally:
            self._future.cancel()  # and with it every request under way

    def result(self) -> T:
        """The end of it, after all that is left to be said. Raises `EngineLost`, or what the work raises."""
        for _ in self:
            pass
        try:
            return self._future.result()
        except EngineDeadError as error:
            raise EngineLost("The engine process has died.") from error
        except ExceptionGroup as group:
            dead, others = group.split(EngineDeadError)
            if others is not None or dead is None:
                raise
            raise EngineLost("The engine process has died.") from dead

    def _next(self) -> Said | None:
        while True:
            try:
                return self._said.get(timeout=self._process._patience)
            except Empty:
                self._process._assert_alive()


def _arguments(model: Path, options: VllmOptions) -> AsyncEngineArgs:
    return AsyncEngineArgs(
        model=str(model),
        dtype=options.dtype,
        # Scoring a sequence that fills the context draws one token more, which is thrown away.
        max_model_len=options.max_model_len + 1,
        max_num_seqs=options.max_num_seqs,
        tensor_parallel_size=options.tensor_parallel_size,
        data_parallel_size=options.data_parallel_size,
        gpu_memory_utilization=options.gpu_memory_utilization,
        enable_sleep_mode=options.sleep,
        enable_lora=options.sync == "lora",
        # Its layers for an adapter of the output head cannot score prompts.
        lora_target_modules=sorted(part.rsplit(".", 1)[-1] for parts in FUSED.values() for part in parts),
        max_lora_rank=next(rank for rank in _LORA_RANKS if rank >= options.max_lora_rank),
        enable_prefix_caching=True,
        # After a part of a prompt vLLM turns the request's random generator back, which those of CPUs cannot do: it would die.
        enable_chunked_prefill=False if current_platform.is_cpu() else None,
        enforce_eager=options.eager,
        logprobs_mode="raw_logprobs",
        structured_outputs_config={"backend": "guidance"},
        worker_extension_cls=f"{WorkerExtension.__module__}.{WorkerExtension.__qualname__}",
        generation_config="vllm",
        disable_log_stats=True,
    )
