"""A vLLM server of the sampler's own for one base model with many adapters, started on first use, on a socket of this user."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch

from core.errors import Unavailable
from core.models import BaseModel
from core.settings import Settings
from worker.policy.model import FUSED
from worker.rollout.vllm_http import VllmHttp

MAX_RANK = 64
"""The largest rank of adapters: room for it is taken for each that is loaded."""
AT_ONCE = 8
"""Adapters that one step of the model can compute with; requests for more take turns."""
_START_SECONDS = 1800.0
_END_SECONDS = 10.0
_OWNER_VARIABLE = "RFT_ENGINE_OWNER"
_VARIABLES = {
    "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_WORKER_MULTIPROC_METHOD": "spawn",
}
_DEFAULTS = {"VLLM_LOGGING_LEVEL": "WARNING", "VLLM_CPU_KVCACHE_SPACE": "2"}


@dataclass(frozen=True)
class _Running:
    process: asyncio.subprocess.Process
    directory: tempfile.TemporaryDirectory[str]


class OwnServer:
    """Starts and ends the server of one base model. Belongs to one event loop."""

    def __init__(self, base: BaseModel, settings: Settings, max_len: int) -> None:
        self._base, self._settings, self._max_len = base, settings, max_len
        self._running: _Running | None = None

    @property
    def is_running(self) -> bool:
        """Whether a process is there; it may still be starting, or hang."""
        return self._running is not None and self._running.process.returncode is None

    @property
    def directory(self) -> Path:
        """A directory for the adapters of the server that runs now."""
        assert self._running is not None
        return Path(self._running.directory.name)

    @property
    def socket(self) -> Path:
        """Where the server that runs now listens."""
        return self.directory / "socket"

    async def start(self) -> None:
        """Start one; it answers later."""
        await self.stop()
        directory = tempfile.TemporaryDirectory(prefix="rft-vllm-")
        environment = {**_DEFAULTS, **os.environ, **_VARIABLES, _OWNER_VARIABLE: str(os.getpid())}
        process = await asyncio.create_subprocess_exec(
            *self._command(Path(directory.name) / "socket"), env=environment, stdin=asyncio.subprocess.DEVNULL
        )
        self._running = _Running(process, directory)

    async def wait_until_ready(self, http: VllmHttp) -> None:
        """Until it answers, which takes a large model minutes. Raises `Unavailable` where it ends instead, or takes too long."""
        try:
            async with asyncio.timeout(_START_SECONDS):
                while not await http.is_well():
                    if not self.is_running:
                        raise Unavailable("The model's vLLM server could not be started. The service's log tells why.")
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise Unavailable(f"The model's vLLM server did not answer within {_START_SECONDS:g} seconds.") from None

    async def stop(self) -> None:
        """End the server, if there is one."""
        if self._running is None:
            return
        running, self._running = self._running, None
        with suppress(ProcessLookupError):
            running.process.terminate()
        try:
            async with asyncio.timeout(_END_SECONDS):
                await running.process.wait()
        except TimeoutError:
            running.process.kill()  # its engine ends with it
            await running.process.wait()
        running.directory.cleanup()

    def _command(self, socket: Path) -> list[str]:
        settings, base = self._settings, self._base
        wanted = {
            "model": base.directory,
            "served-model-name": base.id,
            "uds": socket,
            "dtype": base.dtype,
            "max-model-len": self._max_len,
            "tensor-parallel-size": settings.vllm_tensor_parallel,
            "data-parallel-size": settings.vllm_data_parallel,
            "gpu-memory-utilization": settings.vllm_memory_share,
            "max-lora-rank": MAX_RANK,
            "max-loras": AT_ONCE,
            "generation-config": "vllm",
            "structured-outputs-config": '{"backend": "guidance"}',
            "worker-extension-cls": "worker.rollout.vllm_worker.WorkerExtension",
        }
        # The module behind `vllm serve`: vllm-cpu's own command looks for metadata that it has under another name.
        command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--enable-lora", "--disable-uvicorn-access-log"]
        command += [word for name, value in wanted.items() for word in (f"--{name}", str(value))]
        # As in training: vLLM's layers for an adapter of the output head cannot score prompts on CPUs.
        command += ["--lora-target-modules", *sorted(part.rsplit(".", 1)[-1] for parts in FUSED.values() for part in parts)]
        if not torch.cuda.is_available():
            # On CPUs vLLM dies of a request with a seed whose prompt it computes in parts, as `vllm_process` knows too.
            command.append("--no-enable-chunked-prefill")
        return [*command, "--enforce-eager"] if settings.vllm_eager else command
