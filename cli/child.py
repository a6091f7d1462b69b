"""A child process that is started again whenever it dies, and that never outlives this one."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence

_STOP_SECONDS = 20.0
"""What it may take to end, a worker to let go of its job."""
_RESTART_SECONDS = 1.0


class Child:
    """A Python module as a child process, from `start` to `stop`.

    Its standard input is a pipe that only this process holds open: where this process is killed, the child reads the pipe's end
    and goes, and its own children with it. The module must understand `--follow-stdin`. `name` is for the log; the descriptors
    `files` stay open in the child.
    """

    def __init__(
        self, name: str, module: str, arguments: Sequence[str], environment: Mapping[str, str], files: Sequence[int] = ()
    ) -> None:
        self._name = name
        self._arguments = [sys.executable, "-m", module, "--follow-stdin", *arguments]
        self._environment = dict(environment)
        self._files = tuple(files)
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._keep_running, name=name, daemon=True)

    def start(self) -> None:
        """Start the process, and go on starting it."""
        self._thread.start()

    def ask_to_end(self) -> None:
        """Tell it to end, and start it no more."""
        self._stopping.set()
        with self._lock:
            process = self._process
        if process is not None:
            process.terminate()

    def stop(self) -> None:
        """End it and wait for it; it is killed where it takes too long."""
        self.ask_to_end()
        process = self._process
        if process is not None:
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
        self._thread.join()

    def _keep_running(self) -> None:
        while not self._stopping.is_set():
            with self._lock:
                if self._stopping.is_set():
                    return
                self._process = subprocess.Popen(
                    self._arguments,
                    stdin=subprocess.PIPE,
                    env=self._environment,
                    pass_fds=self._files,
                    # A Ctrl-C at the terminal reaches this process alone, which then ends the child in order.
                    start_new_session=True,
                )
            status = self._process.wait()
            assert self._process.stdin is not None
            self._process.stdin.close()
            if not self._stopping.wait(_RESTART_SECONDS):
                sys.stderr.write(f"The {self._name} ended with status {status}; starting it again.\n")
