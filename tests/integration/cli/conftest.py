"""`rft serve` as a process on the tiny model, and `rft` as a user calls it."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import psutil
import pytest

from cli.main import app
from core.settings import get_settings
from tests.models import tiny_model

ROOT = Path(__file__).resolve().parents[3]
PATIENCE_SECONDS = 120.0
"""After which something awaited is given up."""


@dataclass(frozen=True)
class Result:
    """What a command printed."""

    stdout: str
    stderr: str


@dataclass
class Workplace:
    """A directory with a model and files for jobs, where `rft` is called."""

    directory: Path
    variables: dict[str, str]

    def rft(self, *arguments: str | Path, check: int = 0) -> Result:
        """What `rft` does, in this process (a start of its own costs a second of imports), and check its exit code."""
        out, err = io.StringIO(), io.StringIO()
        get_settings.cache_clear()
        with (
            contextlib.chdir(self.directory),
            patch.dict(os.environ, self.environment(), clear=True),
            patch.object(sys, "argv", ["rft", *map(str, arguments)]),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            pytest.raises(SystemExit) as end,
        ):
            app()
        get_settings.cache_clear()
        assert end.value.code == check, out.getvalue() + err.getvalue()
        return Result(out.getvalue(), err.getvalue())

    def environment(self) -> dict[str, str]:
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith(("RFT_", "OPENAI_"))},
            "PYTHONPATH": str(ROOT),
            "RFT_DATA_DIR": str(self.directory / "data"),
            "RFT_MODELS": str(self.directory / "models.yaml"),
            "RFT_POLL_SECONDS": "0.1",
            "RFT_THREADS": "1",
            **self.variables,
        }

    def serve(self) -> Server:
        """Start `rft serve` on a free port; returns when it has told its address."""
        with (self.directory / "serve.log").open("ab") as log:
            process = psutil.Popen(
                [sys.executable, "-m", "cli.main", "serve", "--port", "0"],
                cwd=self.directory,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        first = process.stdout.readline()
        assert first.startswith("base_url"), (self.directory / "serve.log").read_text()
        return Server(process, first.split()[1])


@dataclass
class Server:
    process: psutil.Popen
    base_url: str

    def family(self) -> list[psutil.Process]:
        """All its children and theirs."""
        children: list[psutil.Process] = self.process.children(recursive=True)
        return children

    def worker(self) -> psutil.Process | None:
        """The supervisor, once it runs."""
        return next((child for child in self.process.children() if "worker.supervisor" in _command(child)), None)

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait; returns the exit code."""
        self.process.send_signal(number)
        return self.rest()[1]

    def rest(self) -> tuple[str, int]:
        """What it prints until it has ended, and its exit code."""
        text: str = self.process.stdout.read()
        self.process.stdout.close()
        return text, self.process.wait(PATIENCE_SECONDS)


def wait_for(what: Callable[[], Any]) -> Any:
    """The first true value of `what`."""
    give_up = time.monotonic() + PATIENCE_SECONDS
    while not (value := what()):
        assert time.monotonic() < give_up
        time.sleep(0.05)
    return value


def _command(process: psutil.Process) -> list[str]:
    try:
        command: list[str] = process.cmdline()
    except psutil.Error:
        return []
    return command


def make_workplace(directory: Path, **variables: str) -> Workplace:
    tiny_model(directory / "tiny")
    (directory / "models.yaml").write_text("models: {tiny: {source: ./tiny}}\naliases: {o4-mini-2025-04-16: tiny}")
    for name, numbers in (("train", range(8)), ("valid", range(8, 10))):
        rows = [{"messages": [{"role": "user", "content": f"say {number}"}], "wanted": "a"} for number in numbers]
        (directory / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    grader = {
        "type": "string_check",
        "name": "has an a",
        "operation": "ilike",
        "input": "{{sample.output_text}}",
        "reference": "{{item.wanted}}",
    }
    (directory / "grader.json").write_text(json.dumps(grader))
    return Workplace(directory, variables)


@pytest.fixture
def workplace(tmp_path: Path) -> Workplace:
    """A place of one's own, not served."""
    return make_workplace(tmp_path)


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    """A place whose service runs, with the variables of a client set."""
    workplace = make_workplace(tmp_path_factory.mktemp("served"), RFT_API_KEY="sk-of-the-tests")
    server = workplace.serve()
    workplace.variables |= {"OPENAI_BASE_URL": server.base_url, "OPENAI_API_KEY": "sk-of-the-tests"}
    yield workplace
    server.end()


SUBMIT = ("jobs", "submit", "--model", "tiny", "--train", "train.jsonl", "--validation", "valid.jsonl", "--grader", "grader.json")
QUICK = ("--n-epochs", "1", "--batch-size", "4", "-O", "samples_per_prompt=4", "-O", "max_completion_tokens=8", "--seed", "1")


@pytest.fixture(scope="session")
def watched(served: Workplace) -> Result:
    """A job submitted and watched to its end."""
    return served.rft(*SUBMIT, *QUICK, "--suffix", "mine", "--watch")


@pytest.fixture(scope="session")
def finished(watched: Result) -> str:
    """The id of that job."""
    return watched.stdout.splitlines()[0]
