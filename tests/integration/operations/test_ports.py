"""Light workers and schedulers answer Prometheus and probes at a port of their own, also while Redis is away."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from cli.topology.servers import free_port
from core.schema import migrate
from core.settings import Settings

ROOT = Path(__file__).resolve().parents[3]
PATIENCE_SECONDS = 240.0


@contextmanager
def working(module: str, directory: Path) -> Iterator[str]:
    """The process, and where its port is."""
    settings = Settings(data_dir=directory, redis_url="redis://127.0.0.1:1/0", metrics_port=free_port())
    migrate(settings.database_url)
    environment = {**settings.environment(), "PYTHONPATH": str(ROOT), "RFT_SECRETS_KEY": "s" * 32}
    process = subprocess.Popen([sys.executable, "-m", module], env=environment, cwd=directory, stderr=subprocess.DEVNULL)
    try:
        yield f"http://127.0.0.1:{settings.metrics_port}"
    finally:
        process.terminate()
        assert process.wait(PATIENCE_SECONDS) == 0


def answered(url: str, wanted: str) -> str:
    """The metrics, once one of their lines begins as wanted."""
    give_up = time.monotonic() + PATIENCE_SECONDS
    text = ""
    while not any(line.startswith(wanted) for line in text.splitlines()):
        assert time.monotonic() < give_up, text
        time.sleep(0.05)
        try:
            text = httpx2.get(f"{url}/metrics").text
        except httpx2.ConnectError:
            continue
    return text


@pytest.mark.parametrize(
    ("module", "wanted"),
    [
        ("worker.scheduler", "touchstone_redis_failures_total 1"),
        ("worker.light_worker", 'touchstone_chore_last_success_timestamp_seconds{chore="validate"} 1'),
    ],
)
def test_its_port_tells_what_it_does_and_that_it_lives(module: str, wanted: str, tmp_path: Path) -> None:
    with working(module, tmp_path / "data") as url:
        answered(url, wanted)
        assert httpx2.get(f"{url}/livez").json()["status"] == "ok"
