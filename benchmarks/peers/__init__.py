"""The peers we are measured against, each in an environment of its own under `build/peers`, made at first use."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
PLACE = HERE.parents[1] / "build" / "peers"


def interpreter(name: str) -> Path:
    """The Python that has the packages of `<name>.txt`; a set-up that was broken off starts afresh."""
    requirements = HERE / f"{name}.txt"
    directory = PLACE / name
    stamp = directory / "installed.txt"
    if not stamp.exists() or stamp.read_text() != requirements.read_text():
        shutil.rmtree(directory, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", directory], check=True)
        pip: list[str | Path] = [directory / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--requirement", requirements], check=True)
        stamp.write_text(requirements.read_text())
    return directory / "bin" / "python"


def environment() -> dict[str, str]:
    """For a side's process: both sides get all cores and the same patience between threads."""
    cores = str(os.cpu_count() or 1)
    return {
        **os.environ,
        "OMP_NUM_THREADS": cores,
        "GOMP_SPINCOUNT": "2000",
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "true",
    }
