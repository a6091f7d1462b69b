"""A service of either deployment whose processes a test strikes."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

import httpx2
import psutil

from cli.topology.servers import free_port
from core.failpoints import released
from tests.cluster import RedisServer
from tests.service import Service, kill, runner_of

from .cells import Deployment, Victim
from .servers import PostgresServer

PATIENCE_SECONDS = 900.0
"""After which something awaited is given up: several cells run at a time. Not a measure of speed."""
LEASE_SECONDS = 3.0
API_KEY = "rft_sk_" + "c" * 40
_MIGRATING = Lock()
"""Alembic migrates one database at a time in a process."""
_MODULES = {
    Victim.WORKER: "worker.gpu_worker",
    Victim.LIGHT: "worker.light_worker",
    Victim.SCHEDULER: "worker.scheduler",
}


@dataclass(frozen=True)
class Trap:
    """A failpoint that holds whoever comes to it first."""

    file: Path
    point: str
    occurrence: int = 1

    @property
    def variables(self) -> dict[str, str]:
        return {"RFT_FAILPOINT": f"{self.point}:hold:{self.occurrence}", "RFT_FAILPOINT_FILE": str(self.file)}

    @property
    def sprung(self) -> bool:
        return self.file.exists() and self.file.read_text().isdigit()

    def open(self) -> None:
        """Let go of whoever is held."""
        released(self.file).touch()


@dataclass
class World:
    """The processes of one service."""

    service: Service
    deployment: Deployment
    postgres: PostgresServer | None = None
    redis: RedisServer | None = None
    _processes: dict[Victim, list[psutil.Popen]] = field(default_factory=dict)
    _api_port: int = 0

    def start(self, victim: Victim, **variables: str) -> psutil.Popen:
        """One more process of a kind."""
        if victim is Victim.API:
            return self._start_api(**variables)
        module = "worker.supervisor" if self.deployment is Deployment.EMBEDDED else _MODULES[victim]
        return self._keep(victim, self.service.start_module(module, **variables))

    def start_all(self, **variables: str) -> None:
        """One process of each kind but the API."""
        for victim in [Victim.WORKER] if self.deployment is Deployment.EMBEDDED else _MODULES:
            self.start(victim, **variables)

    def revive(self, victim: Victim) -> None:
        """Start again what was killed; a runner is its worker's business."""
        if victim is Victim.POSTGRES:
            assert self.postgres is not None
            self.postgres.start()
        elif victim is Victim.REDIS:
            assert self.redis is not None
            self.redis.start()
        elif victim is not Victim.RUNNER:
            self.start(victim)

    def processes(self, victim: Victim) -> list[psutil.Process]:
        """Those of a kind that live."""
        if victim is Victim.POSTGRES:
            assert self.postgres is not None
            return self.postgres.processes
        if victim is Victim.REDIS:
            assert self.redis is not None
            return self.redis.processes
        if victim is Victim.RUNNER:
            runners = [runner_of(worker) for worker in self.processes(Victim.WORKER)]
            return [runner for runner in runners if runner is not None]
        return [process for process in self._processes.get(victim, []) if process.is_running() and process.poll() is None]

    def api_url(self) -> str:
        """Of the API that was started last; waits until it answers."""
        url = f"http://127.0.0.1:{self._api_port}"

        def answers() -> bool:
            with contextlib.suppress(httpx2.TransportError):
                return httpx2.get(f"{url}/livez", timeout=10, trust_env=False).is_success
            return False

        until(answers)
        return url

    def close(self) -> None:
        """End all of them."""
        for process in [process for processes in self._processes.values() for process in processes]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGCONT)
            process.stdin.close()
            try:
                process.wait(60)
            except psutil.TimeoutExpired:
                kill(process)
        self.service.close()

    def _start_api(self, **variables: str) -> psutil.Popen:
        self._api_port = free_port()
        words = ("cli.main", "api", "--port", str(self._api_port))
        return self._keep(Victim.API, self.service.start_module(*words, RFT_API_KEY=API_KEY, **variables))

    def _keep(self, victim: Victim, process: psutil.Popen) -> psutil.Popen:
        self._processes.setdefault(victim, []).append(process)
        return process


@contextlib.contextmanager
def world(
    deployment: Deployment,
    directory: Path,
    model: Path,
    template: Path,
    *,
    lease_seconds: float = LEASE_SECONDS,
    stall_seconds: float = 1800.0,
) -> Iterator[World]:
    """A service without a process of its own yet; PostgreSQL and Redis run."""

    def service(database_url: str = "", redis_url: str | None = None) -> Service:
        with _MIGRATING:
            return Service(
                directory / "data",
                model,
                database_url=database_url,
                redis_url=redis_url,
                lease_seconds=lease_seconds,
                stall_seconds=stall_seconds,
            )

    with contextlib.ExitStack() as ending:
        if deployment is Deployment.EMBEDDED:
            made = World(service(), deployment)
        else:
            postgres = PostgresServer(template)
            ending.callback(postgres.close)
            redis = RedisServer()
            ending.callback(redis.kill)
            redis.start()
            made = World(service(postgres.url, redis.url), deployment, postgres, redis)
        ending.callback(made.close)
        yield made


def until(what: Callable[[], bool]) -> None:
    """Wait for it."""
    give_up = time.monotonic() + PATIENCE_SECONDS
    while not what():
        assert time.monotonic() < give_up, "waited in vain"
        time.sleep(0.1)
