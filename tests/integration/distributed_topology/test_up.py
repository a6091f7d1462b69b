"""`rft up`: the whole distributed service as processes of this machine, a real job on it, and nothing left behind."""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest
import yaml
from openai import OpenAI

from tests.models import tiny_model
from tests.service import Service

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(900)]

ROOT = Path(__file__).resolve().parents[3]
PATIENCE_SECONDS = 600.0
GRADER = {
    "type": "python",
    "name": "has an a",
    "source": "def grade(sample, item):\n    return float('a' in sample['output_text'].lower())",
}
ROWS = [{"messages": [{"role": "user", "content": f"{n} tick"}], "wanted": "a"} for n in range(8)]
HYPERPARAMETERS = {"n_epochs": 1, "batch_size": 4, "eval_interval": 1}
OPTIONS = {"samples_per_prompt": 4, "max_completion_tokens": 8}
SEED = 7


@dataclass
class Up:
    """What `rft up` has said."""

    process: psutil.Process
    base_urls: list[str]
    api_key: str
    logs: Path

    def client(self, number: int) -> OpenAI:
        return OpenAI(base_url=self.base_urls[number], api_key=self.api_key, max_retries=5, timeout=120)


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    directory = tmp_path_factory.mktemp("up")
    tiny_model(directory / "tiny")
    (directory / "models.yaml").write_text(yaml.safe_dump({"models": {"tiny": {"source": "./tiny"}}}))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RFT_")}
    environment |= {"RFT_MODELS": str(directory / "models.yaml"), "RFT_THREADS": "1", "RFT_LEASE_SECONDS": "10"}
    process = subprocess.Popen(
        [sys.executable, "-m", "cli.main", "up"],
        env={**environment, "PYTHONPATH": str(ROOT)},
        cwd=directory,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    said: dict[str, list[str]] = {}
    for line in process.stdout:
        name, _, value = line.strip().partition(" ")
        said.setdefault(name, []).append(value.strip())
        if name == "logs":
            break
    assert process.poll() is None
    service = Up(psutil.Process(process.pid), said["base_url"], said["api_key"][0], Path(said["logs"][0]))
    try:
        yield service
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)
        process.stdout.close()


def everything(up: Up) -> list[psutil.Process]:
    return [up.process, *up.process.children(recursive=True)]


def runs(process: psutil.Process, module: str) -> bool:
    with suppress(psutil.NoSuchProcess):  # it has just ended, or waits to be reaped
        return module in process.cmdline()
    return False


@pytest.fixture(scope="module")
def job(up: Up) -> Any:
    """Created through one API, polled through the other."""
    content = "".join(f"{json.dumps(row)}\n" for row in ROWS).encode()
    with up.client(0) as first, up.client(1) as second:
        train, valid = (first.files.create(file=(f"{name}.jsonl", content), purpose="fine-tune") for name in ("train", "valid"))
        created = first.fine_tuning.jobs.create(
            model="tiny",
            training_file=train.id,
            validation_file=valid.id,
            seed=SEED,
            method={"type": "reinforcement", "reinforcement": {"grader": GRADER, "hyperparameters": HYPERPARAMETERS}},
            extra_body={"touchstone": OPTIONS},
        )
        give_up = time.monotonic() + PATIENCE_SECONDS
        while (job := second.fine_tuning.jobs.retrieve(created.id)).status not in ("succeeded", "failed", "cancelled"):
            assert time.monotonic() < give_up, (up.logs / "worker-1.log").read_text()
            time.sleep(0.2)
        return job


def test_a_job_succeeds(up: Up, job: Any) -> None:
    assert job.status == "succeeded", job.error


def test_both_apis_tell_the_same_of_it(up: Up, job: Any) -> None:
    with up.client(0) as first, up.client(1) as second:
        assert first.fine_tuning.jobs.retrieve(job.id) == second.fine_tuning.jobs.retrieve(job.id)
        events = [client.fine_tuning.jobs.list_events(job.id, limit=100).data for client in (first, second)]
        assert events[0] == events[1]
        assert events[0]


@pytest.fixture(scope="module")
def adapter(up: Up, job: Any) -> dict[str, bytes]:
    """The last checkpoint's files, out of the bucket."""
    url = f"{up.base_urls[1]}/fine_tuning/jobs/{job.id}/checkpoints/last/weights"
    reply = httpx2.get(url, headers={"authorization": f"Bearer {up.api_key}"}, timeout=120)
    with tarfile.open(fileobj=io.BytesIO(reply.content)) as archive:
        return {member.name: archive.extractfile(member).read() for member in archive.getmembers()}


def test_its_adapter_comes_out_of_the_bucket(adapter: dict[str, bytes]) -> None:
    assert {"adapter_config.json", "adapter_model.safetensors"} <= set(adapter)


def test_its_weights_are_the_bits_of_an_embedded_run(adapter: dict[str, bytes], tmp_path: Path) -> None:
    tiny_model(tmp_path / "tiny")
    embedded = Service(tmp_path / "data", tmp_path / "tiny", threads=1)
    job = embedded.run(
        embedded.create(train=ROWS, valid=ROWS, grader=GRADER, hyperparameters=HYPERPARAMETERS, options=OPTIONS, seed=SEED)
    )
    weights = embedded.outcome(job.id).adapter_sha256
    embedded.close()
    assert hashlib.sha256(adapter["adapter_model.safetensors"]).hexdigest() == weights


def test_the_samplers_own_service_answers_for_the_tuned_model(up: Up, job: Any) -> None:
    with up.client(0) as client:
        message = {"role": "user", "content": "1 tick"}
        reply = client.chat.completions.create(model=job.fine_tuned_model, messages=[message], max_tokens=4)
    assert reply.choices[0].finish_reason in ("length", "stop")


def test_nobody_has_a_sampler_of_its_own(up: Up, job: Any) -> None:
    assert len([process for process in everything(up) if runs(process, "worker.sampler")]) == 1


def test_one_grader_service_graded_for_all(up: Up, job: Any) -> None:
    servers = [process for process in everything(up) if runs(process, "graders.sandbox.server")]
    assert len(servers) == 1
    assert not [name for name in servers[0].environ() if name.startswith(("RFT_", "AWS_"))]


@pytest.mark.parametrize("module", ["worker.gpu_worker", "worker.light_worker", "worker.scheduler", "graders.sandbox.server"])
def test_what_is_killed_is_started_again(up: Up, module: str) -> None:
    before = [process for process in everything(up) if runs(process, module)]
    before[0].kill()
    give_up = time.monotonic() + PATIENCE_SECONDS
    while len([process for process in everything(up) if runs(process, module) and process != before[0]]) < len(before):
        assert time.monotonic() < give_up
        time.sleep(0.1)


def test_nothing_outlives_it_when_it_is_killed(up: Up, job: Any) -> None:
    processes = everything(up)
    assert len(processes) > 20
    up.process.send_signal(signal.SIGKILL)
    assert psutil.wait_procs(processes, timeout=120)[1] == []
