"""Child processes that serve a unix socket and never outlive their owner."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path

from core.errors import Unavailable

_SOCKET_PATH_LIMIT = 107
_LOG_TAIL = 4000


class SocketService:
    """A server process, started at first use and again whenever it has died.

    `argv` names the program; every `{socket}` in it becomes the path to listen on. The child's standard input is a pipe that the
    owner holds open and never writes to: the child must exit when it reads end of file there, so that it goes with its owner even
    when that is killed. Standard error goes to the file `log` (by default one in the socket's private directory).
    Safe to use from several threads.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        log: Path | None = None,
        start_seconds: float = 60.0,
        stop_seconds: float = 5.0,
    ) -> None:
        self._argv = list(argv)
        self._env = None if env is None else dict(env)
        self._log = log
        self._start_seconds = start_seconds
        self._stop_seconds = stop_seconds
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._directory: Path | None = None
        self._remove_directory: weakref.finalize[..., SocketService] | None = None

    @property
    def pid(self) -> int | None:
        """The process id of the child, if one was started and not closed."""
        process = self._process
        return None if process is None else process.pid

    @property
    def path(self) -> Path | None:
        """Where the child listens, if one was started and not closed."""
        directory = self._directory
        return None if self._process is None or directory is None else directory / "s"

    def ensure(self) -> Path:
        """The path of a socket that accepts connections. Raises `Unavailable` with the child's last words if it cannot be had."""
        with self._lock:
            path = self._socket()
            # A process that was killed a moment ago may not be seen as ended yet, but its socket refuses already.
            if self._process is None or self._process.poll() is not None or not _accepts(path):
                self._start()
            return path

    def close(self) -> None:
        """End the child and remove its directory. A later `ensure` starts anew."""
        with self._lock:
            self._stop()
            if self._remove_directory is not None:
                self._remove_directory()
            self._directory = self._remove_directory = None

    def _socket(self) -> Path:
        if self._directory is None:
            self._directory = _short_directory()
            self._remove_directory = weakref.finalize(self, shutil.rmtree, self._directory, ignore_errors=True)
        return self._directory / "s"

    def _log_path(self) -> Path:
        return self._log or self._socket().with_name("stderr.log")

    def _start(self) -> None:
        self._stop()
        path = self._socket()
        path.unlink(missing_ok=True)
        try:
            with self._log_path().open("ab") as log:
                self._process = subprocess.Popen(
                    [part.replace("{socket}", str(path)) for part in self._argv],
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=log,
                    env=self._env,
                    # A Ctrl-C at the owner's terminal reaches the owner alone; it decides when its children go.
                    start_new_session=True,
                )
        except OSError as error:
            raise Unavailable(f"cannot start {self._argv[0]}: {error.strerror}") from error
        self._wait_until_ready(self._process, path)

    def _wait_until_ready(self, process: subprocess.Popen[bytes], path: Path) -> None:
        deadline = time.monotonic() + self._start_seconds
        while not _accepts(path):
            if process.poll() is not None:
                raise Unavailable(f"{self._argv[0]} ended with status {process.returncode}: {self._last_words()}")
            if time.monotonic() > deadline:
                self._stop()
                raise Unavailable(f"{self._argv[0]} did not listen within {self._start_seconds:g} seconds: {self._last_words()}")
            time.sleep(0.01)

    def _last_words(self) -> str:
        return self._log_path().read_bytes()[-_LOG_TAIL:].decode("utf-8", "replace").strip()

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        for end in (process.terminate, process.kill):
            try:
                process.wait(self._stop_seconds)
            except subprocess.TimeoutExpired:
                end()
        process.wait()


def _short_directory() -> Path:
    """A fresh directory of mode 0700, near enough to the root for a unix socket's path."""
    directory = Path(tempfile.mkdtemp(prefix="rft-"))
    if len(str(directory / "s")) <= _SOCKET_PATH_LIMIT:
        return directory
    directory.rmdir()
    return Path(tempfile.mkdtemp(prefix="rft-", dir="/tmp"))


def _accepts(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            return False
    return True
