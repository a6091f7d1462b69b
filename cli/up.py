"""`rft up`: the distributed service as plain processes, for machines without containers and for tests."""

from __future__ import annotations

import secrets
import signal
import sys
import tempfile
import threading
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated

import httpx2
import typer

from cli.topology.processes import Processes, Program
from cli.topology.servers import free_port, start_servers
from core.settings import get_settings, variable


def up(
    apis: Annotated[int, typer.Option(min=1, max=32, help="API processes, each on a port of its own.")] = 2,
    workers: Annotated[int, typer.Option(min=1, max=32, help="Workers that run jobs, one job each at a time.")] = 2,
) -> None:
    """Run PostgreSQL, Redis, an S3 server and every process of the distributed service until Ctrl-C; nothing is kept."""
    ending = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ending.set())
    with tempfile.TemporaryDirectory(prefix="rft-up-", ignore_cleanup_errors=True) as name:
        directory = Path(name)
        # PostgreSQL runs as another user where this one is root.
        directory.chmod(0o711)
        (directory / "logs").mkdir(mode=0o700)
        processes = Processes(directory / "logs")
        try:
            service = Topology(processes, directory, apis, workers)
            service.start()
            service.announce()
            processes.keep(until=ending.is_set)
        finally:
            processes.stop()


class Topology:
    """Which processes there are, and what each is told."""

    def __init__(self, processes: Processes, directory: Path, apis: int, workers: int) -> None:
        self._processes = processes
        self._directory = directory
        self._settings = get_settings()
        self._api_ports = [free_port() for _ in range(apis)]
        self._workers = workers
        self._key = self._settings.api_key or f"rft_sk_{secrets.token_urlsafe(30)}"

    def start(self) -> None:
        """Start everything, and wait until requests are answered. Raises `CommandFailed`."""
        base = self._settings.environment()
        common = {**base, **start_servers(self._processes, self._directory, base).variables, **self._shared()}
        _migrate(common["RFT_DATABASE_URL"])
        sampler = common["RFT_SAMPLER_URL"]
        self._run("grader", common, "grader", "--socket", common["RFT_GRADER_SOCKET"])
        self._run("sampler", common, "sampler", "--port", sampler.rpartition(":")[2])
        for number, port in enumerate(self._api_ports, start=1):
            self._run(f"api-{number}", {**common, "RFT_API_KEY": self._key}, "api", "--host", "127.0.0.1", "--port", str(port))
        for number in range(1, self._workers + 1):
            self._run(f"worker-{number}", common, "worker", "--queue", "gpu")
        self._run("worker-light", common, "worker", "--queue", "default")
        self._run("scheduler", common, "scheduler")
        for url in (*(f"{root}/readyz" for root in self._roots()), f"{sampler}/livez"):
            self._processes.wait(partial(_answers, url))

    def announce(self) -> None:
        """Say where it is."""
        for root in self._roots():
            typer.echo(f"base_url  {root}/v1")
        typer.echo(f"api_key   {self._key}")
        typer.echo(f"dashboard {self._roots()[0]}/dashboard")
        typer.echo(f"logs      {self._processes.logs}")
        sys.stdout.flush()

    def _roots(self) -> list[str]:
        return [f"http://127.0.0.1:{port}" for port in self._api_ports]

    def _shared(self) -> dict[str, str]:
        return {
            "RFT_SECRETS_KEY": self._settings.secrets_key or secrets.token_urlsafe(48),
            "RFT_GRADER_SOCKET": str(self._directory / "grader.socket"),
            "RFT_SAMPLER_URL": f"http://127.0.0.1:{free_port()}",
            "RFT_SAMPLER_TOKEN": secrets.token_urlsafe(30),
            "PYTHONPATH": variable("PYTHONPATH") or str(Path(__file__).resolve().parent.parent),
        }

    def _run(self, name: str, common: Mapping[str, str], *words: str) -> None:
        data = {"RFT_DATA_DIR": str(self._directory / name)}
        argv = [sys.executable, "-m", "cli.main", *words]
        self._processes.start(Program(name, argv, {**common, **data}))


def _migrate(database_url: str) -> None:
    """Before anybody uses the database."""
    from core.schema import migrate  # only this command pays for its import

    migrate(database_url)


def _answers(url: str) -> bool:
    try:
        return httpx2.get(url, timeout=10, trust_env=False).is_success
    except httpx2.TransportError:
        return False
