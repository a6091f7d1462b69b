"""PostgreSQL as a server of its own that a test kills, freezes and starts again in place."""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg

from cli.topology.postgres import give, programs, server_user

PATIENCE_SECONDS = 120.0


class PostgresServer:
    """A database `touchstone` on a server of its own, made from a copy of `template`."""

    def __init__(self, template: Path) -> None:
        # A short path, which a unix socket needs, that PostgreSQL's user may walk.
        self._home = Path(tempfile.mkdtemp(prefix="rft-pg-"))
        shutil.copytree(template, self._home / "data", copy_function=shutil.copy)
        self._user = server_user()
        self._programs = programs(template.parent, self._user)
        give(self._home, self._user)
        self.url = f"postgresql+psycopg://touchstone@/touchstone?host={self._home}"
        self.start()

    def start(self) -> None:
        """Start, or start again; returns when it answers."""
        (self._home / "data" / "postmaster.pid").unlink(missing_ok=True)
        server = [str(self._programs / "postgres"), "-D", str(self._home / "data"), "-k", str(self._home)]
        options = ["listen_addresses=", "fsync=off", "autovacuum=off"]
        with (self._home / "log").open("ab") as log:
            self.process = psutil.Popen(
                [*server, *(word for option in options for word in ("-c", option))],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                user=self._user,
                group=self._user,
            )
        _until(self._answers)

    @property
    def processes(self) -> list[psutil.Process]:
        """The postmaster first, then its children; none where it was killed."""
        if self.process.poll() is not None:
            return []
        return [self.process, *self.process.children(recursive=True)]

    def close(self) -> None:
        """End it, and everything of it."""
        kill_all(self.processes)
        self.process.wait()
        shutil.rmtree(self._home)

    def _answers(self) -> bool:
        plain = f"host={self._home} user=touchstone dbname=touchstone"
        try:
            psycopg.connect(plain).close()
        except psycopg.OperationalError:
            return False
        return True


@contextlib.contextmanager
def postgres_template() -> Iterator[Path]:
    """The files of a server that has an empty database `touchstone`."""
    directory, user = Path(tempfile.mkdtemp(prefix="rft-pg-")), server_user()
    give(directory, user)
    release = programs(directory, user)
    initdb = [str(release / "initdb"), "--pgdata", str(directory / "data"), "--username", "touchstone", "--auth", "trust"]
    options = ["--encoding", "UTF8", "--locale", "C", "--no-sync"]
    subprocess.run([*initdb, *options], check=True, capture_output=True, user=user, group=user)
    create = [str(release / "postgres"), "--single", "-D", str(directory / "data"), "postgres"]
    subprocess.run(create, check=True, capture_output=True, input=b"CREATE DATABASE touchstone;\n", user=user, group=user)
    yield directory / "data"
    shutil.rmtree(directory)


def kill_all(processes: list[psutil.Process]) -> None:
    """SIGKILL to each, and wait until they are gone."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGKILL)
    psutil.wait_procs(processes, timeout=PATIENCE_SECONDS)


def _until(ready: Callable[[], bool]) -> None:
    give_up = time.monotonic() + PATIENCE_SECONDS
    while not ready():
        assert time.monotonic() < give_up
        time.sleep(0.02)
