"""One served instance on the tiny model with a worker, a job that has really run, and a signed-in browser, for all tests here.

Needs Debian's packages `chromium` and `chromium-driver`, and npm for axe-core: `tests/browser/setup` sees to them.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml
from openai import OpenAI

from benchmarks.dashboard_world import Texts, World
from core.settings import Settings
from tests.browser.browser import Browser, chromium
from tests.conftest import ROOT
from tests.models import tiny_model

Json = dict[str, Any]

KEY = "sk-the-key-of-the-browser-tests"
XSS = '<img src=x onerror="window.hacked = 1"><script>window.hacked = 1</script>'
SUFFIX = "<b onclick=alert(1)>shown</b>"
PATIENCE_SECONDS = 240.0
PROGRAM = """
def grade(sample, item):
    length = len(sample["output_text"])
    if length % 5 == 0:
        raise ValueError("<img src=x onerror='window.hacked = 1'>")
    return max(0.0, 1 - length / 60)
"""
GRADER: Json = {
    "type": "multi",
    "name": XSS,
    "graders": {
        "has_a": {
            "type": "string_check",
            "name": XSS,
            "input": "{{sample.output_text}}",
            "reference": "{{item.wanted}}",
            "operation": "ilike",
        },
        "short": {"type": "python", "name": "short", "source": PROGRAM},
    },
    "calculate_output": "0.7 * has_a + 0.3 * short",
}
SINGLE: Json = {
    "type": "string_check",
    "name": "has an a",
    "input": "{{sample.output_text}}",
    "reference": "{{item.wanted}}",
    "operation": "ilike",
}
OPTIONS = {"samples_per_prompt": 4, "max_completion_tokens": 16, "grader_error_limit": 1.0}
ROWS = [{"messages": [{"role": "user", "content": f"Number {i}: {XSS}"}], "wanted": "a", "note": XSS} for i in range(12)]


def rows(count: int) -> bytes:
    """A data file of so many prompts."""
    lines = ({"messages": [{"role": "user", "content": f"Number {i}"}], "wanted": "a"} for i in range(count))
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


@dataclass(frozen=True)
class Served:
    """A running `rft serve`."""

    base_url: str
    hostile_job: str
    """A job in whose rollouts every text is a program."""

    def client(self) -> OpenAI:
        return OpenAI(base_url=f"{self.base_url}/v1", api_key=KEY, max_retries=0)

    def long_job(self) -> str:
        """The id of a new job that goes on for some minutes where nobody ends it."""
        client = self.client()
        training = client.files.create(file=("train.jsonl", rows(16)), purpose="fine-tune").id
        hyperparameters = {"n_epochs": 50, "batch_size": 4}
        method: Any = {"type": "reinforcement", "reinforcement": {"grader": SINGLE, "hyperparameters": hyperparameters}}
        options = {"touchstone": OPTIONS}
        return client.fine_tuning.jobs.create(model="tiny", training_file=training, method=method, extra_body=options).id


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    directory = tmp_path_factory.mktemp("served")
    models = directory / "models.yaml"
    models.write_text(yaml.safe_dump({"models": {"tiny": {"source": str(tiny_model(directory / "tiny"))}}}))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    ours = {"DATA_DIR": directory / "data", "MODELS": models, "API_KEY": KEY, "THREADS": 1, "POLL_SECONDS": 0.1}
    others = {name: value for name, value in os.environ.items() if not name.startswith("RFT_")}
    environment = {**others, "PYTHONPATH": str(ROOT), **{f"RFT_{name}": str(value) for name, value in ours.items()}}
    hostile_job = _seeded(directory / "data")
    with (directory / "serve.log").open("wb") as log:
        command = [sys.executable, "-c", "from cli.main import app; app()", "serve", "--port", str(port)]
        process = subprocess.Popen(command, env=environment, cwd=directory, stdout=log, stderr=log)
    service = Served(f"http://127.0.0.1:{port}", hostile_job)
    try:
        _wait_until_ready(service, process, directory / "serve.log")
        yield service
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE_SECONDS)


def _seeded(data_dir: Path) -> str:
    """What no random model would write, kept before any worker runs."""
    world = World(Settings(_env_file=None, data_dir=data_dir))
    try:
        return world.job("hostile", steps=2, prompts=2, texts=Texts(prompt=XSS, completion=XSS))
    finally:
        world.close()


def _wait_until_ready(service: Served, process: subprocess.Popen[bytes], log: Path) -> None:
    give_up = time.monotonic() + PATIENCE_SECONDS
    while True:
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < give_up, log.read_text()
        try:
            if httpx2.get(f"{service.base_url}/readyz").status_code == 200:
                return
        except httpx2.TransportError:
            time.sleep(0.1)


@pytest.fixture(scope="session")
def job(served: Served) -> Any:
    """A job that has run to its end, with what an attacker would write wherever a text may stand."""
    client = served.client()
    lines = [json.dumps(row).encode() + b"\n" for row in ROWS]
    training = client.files.create(file=("<b onclick=alert(1)>train<b>.jsonl", b"".join(lines)), purpose="fine-tune")
    validation = client.files.create(file=("valid.jsonl", b"".join(lines[:6])), purpose="fine-tune")
    hyperparameters = {"n_epochs": 2, "batch_size": 4, "eval_interval": 2, "eval_samples": 1}
    made = client.fine_tuning.jobs.create(
        model="tiny",
        training_file=training.id,
        validation_file=validation.id,
        suffix=SUFFIX,
        metadata={"note": XSS},
        method={"type": "reinforcement", "reinforcement": {"grader": GRADER, "hyperparameters": hyperparameters}},
        extra_body={"touchstone": OPTIONS},
    )
    give_up = time.monotonic() + PATIENCE_SECONDS
    while (now := client.fine_tuning.jobs.retrieve(made.id)).status not in ("succeeded", "failed", "cancelled"):
        assert time.monotonic() < give_up, now
        time.sleep(0.2)
    assert now.status == "succeeded", now.error
    return now


@pytest.fixture(scope="session")
def session_browser(served: Served, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    downloads = tmp_path_factory.mktemp("downloads")
    with chromium(downloads) as driver:
        yield Browser(driver, served.base_url, KEY, downloads)


@pytest.fixture
def browser(session_browser: Browser) -> Iterator[Browser]:
    """The browser; no test may leave a script that was refused, an exception, or a hostile text that has run."""
    session_browser.resize(1400, 950)
    session_browser.theme("light")
    yield session_browser
    assert session_browser.driver.execute_script("return window.hacked") is None
    assert session_browser.complaints() == []
