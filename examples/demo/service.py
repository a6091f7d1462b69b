"""The embedded service for the length of a demo: `rft serve` on a free port, with data of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2

KEY = "sk-demo-key"


@contextmanager
def served(data_dir: Path) -> Iterator[str]:
    """The base URL of a fresh service; it is stopped at the end, its data stays. Its log is `serve.log` beside the data."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        **os.environ,
        "RFT_DATA_DIR": str(data_dir),
        "RFT_PORT": str(port),
        "RFT_API_KEY": KEY,
        # The demo's graders are its own: they run in the best sandbox that the machine gives, or in none.
        "RFT_SANDBOX_LEVEL": "none",
    }
    data_dir.mkdir(parents=True, exist_ok=True)
    with (data_dir.parent / "serve.log").open("wb") as log:
        process = subprocess.Popen([Path(sys.executable).parent / "rft", "serve"], env=environment, stdout=log, stderr=log)
        try:
            _wait_until_ready(f"http://127.0.0.1:{port}/readyz", process)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.terminate()
            process.wait(30)


def _wait_until_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise SystemExit(f"rft serve ended with status {process.returncode}; see serve.log")
        try:
            if httpx2.get(url).status_code == 200:
                return
        except httpx2.TransportError:
            pass
        time.sleep(0.2)
    raise SystemExit("rft serve did not get ready within a minute; see serve.log")
