"""`rft serve` as a process, for benchmarks that measure what its users get."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).parents[1]
KEY = "sk-benchmark"


@dataclass(frozen=True)
class Service:
    """A served API."""

    host: str
    port: int
    process: subprocess.Popen[str]

    @property
    def base_url(self) -> str:
        """What an `openai` client takes."""
        return f"http://{self.host}:{self.port}/v1"


@contextmanager
def served(data: Path, settings: Mapping[str, str]) -> Iterator[Service]:
    """The service with a data directory of its own, `KEY` as its key, and none of this shell's settings."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("RFT_")},
        "RFT_DATA_DIR": str(data),
        "RFT_API_KEY": KEY,
        **settings,
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "cli.main", "serve", "--port", "0"], env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        address = urlsplit(process.stdout.readline().split()[1])
        yield Service(str(address.hostname), address.port or 0, process)
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()
