"""`rft sampler`: the model server as a service of its own."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer


def sampler(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Its port, which RFT_SAMPLER_URL names to the others.")] = 8001,
    follow_stdin: Annotated[bool, typer.Option("--follow-stdin", hidden=True)] = False,
) -> None:
    """Serve base and tuned models to API processes and judges, until SIGTERM. Needs RFT_SAMPLER_TOKEN, as its clients do."""
    arguments = ["--host", host, "--port", str(port), *(["--follow-stdin"] if follow_stdin else [])]
    os.execv(sys.executable, [sys.executable, "-m", "worker.sampler", *arguments])  # noqa: S606
