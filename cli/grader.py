"""`rft grader`: the sandbox of python graders and programs as a service of its own."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from core.settings import get_settings

_ROOT = Path(__file__).resolve().parent.parent


def grader(
    socket: Annotated[Path, typer.Option(help="The unix socket to listen on, which RFT_GRADER_SOCKET names to the others.")],
    parallel: Annotated[int | None, typer.Option(min=1, help="Calls at a time. Default: the machine's cores.")] = None,
) -> None:
    """Run python graders and programs for API processes and runners, until SIGTERM."""
    settings = get_settings()
    options = ["--service", "--python", settings.grader_python or sys.executable, "--minimum", settings.sandbox_level]
    options += [] if parallel is None else ["--parallel", str(parallel)]
    # Nothing of the operator's environment: the service has no use for keys.
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "PYTHONPATH": str(_ROOT), "LANG": "C.UTF-8"}
    os.execve(sys.executable, [sys.executable, "-P", "-m", "graders.sandbox.server", str(socket), *options], environment)  # noqa: S606
