"""Worker processes that compare expressions: kept warm, killed when they overrun, replaced when they are gone."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import queue
import select
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]
_MEMORY = 1 << 30
_CPU_SECONDS = 3.0
_WALL_SECONDS = 4.5
_START_SECONDS = 60.0
LIMIT_SECONDS = 5.0
"""No comparison takes longer: after 3 seconds of processor time it is interrupted, after 4.5 of wall time killed."""


@dataclass(frozen=True)
class Comparison:
    """Is `text`'s answer `reference`?"""

    text: str
    reference: str
    precision: int = 6
    """Decimals to which floating-point numbers are rounded before they are compared."""
    strict: bool = True
    """Whether variables' names count; where they do not, they are matched by position."""


@dataclass(frozen=True)
class Verdict:
    """What a comparison came to; `failure` says why it came to nothing."""

    equal: bool = False
    answered: bool = False
    """Whether the text holds an expression."""
    readable: bool = False
    """Whether the reference does."""
    failure: str | None = None
    seconds: float = 0.0


class PoolUnavailable(Exception):
    """A worker process cannot be started."""


class MathPool:
    """Compares on `size` processes at a time, each started at its first use. Safe to use from several threads."""

    def __init__(self, size: int | None = None) -> None:
        size = size or os.cpu_count() or 1
        self._threads = ThreadPoolExecutor(size, thread_name_prefix="math")
        self._idle: queue.LifoQueue[_Worker] = queue.LifoQueue()
        self._workers = [_Worker() for _ in range(size)]
        for worker in self._workers:
            self._idle.put(worker)

    def compare(self, comparisons: Sequence[Comparison]) -> list[Verdict]:
        """One verdict a comparison, in order. Raises `PoolUnavailable`."""
        return list(self._threads.map(self._compare, comparisons))

    def close(self) -> None:
        """End the processes."""
        self._threads.shutdown(cancel_futures=True)
        for worker in self._workers:
            worker.stop()

    def _compare(self, comparison: Comparison) -> Verdict:
        worker = self._idle.get()
        try:
            return worker.compare(comparison)
        finally:
            self._idle.put(worker)


@lru_cache(maxsize=1)
def shared_pool() -> MathPool:
    """The pool of this process, ended with it."""
    pool = MathPool()
    atexit.register(pool.close)
    return pool


class _Worker:
    """One process, or none yet. Used by one thread at a time."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def compare(self, comparison: Comparison) -> Verdict:
        request = json.dumps(asdict(comparison)).encode() + b"\n"
        with self._lock:
            started = time.perf_counter()
            for attempt in (1, 2):
                process = self._ensure()
                started = time.perf_counter()
                answer = _ask(process, request)
                if answer is not None:
                    return Verdict(**json.loads(answer), seconds=time.perf_counter() - started)
                overran = process.poll() is None
                self._stop()
                # A process that recycled itself in the very moment of the request has done nothing wrong.
                if overran or attempt == 2:
                    break
            return Verdict(failure="time" if overran else "crash", seconds=time.perf_counter() - started)

    def stop(self) -> None:
        with self._lock:
            self._stop()

    def _ensure(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self._stop()
            self._process = _start()
        return self._process

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        process.stdout.close()


def _start() -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "graders.math.worker", str(_MEMORY), str(_CPU_SECONDS)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        # Nothing of the owner's environment: it holds keys.
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(_ROOT), "LANG": "C.UTF-8", "PYTHONHASHSEED": "0"},
        start_new_session=True,
    )
    if _line(process, _START_SECONDS) is None:
        process.kill()
        process.communicate()
        raise PoolUnavailable(f"the process for mathematics does not start (status {process.returncode})")
    return process


def _ask(process: subprocess.Popen[bytes], request: bytes) -> bytes | None:
    """The answer, or None where the process died or overran."""
    assert process.stdin is not None
    try:
        process.stdin.write(request)
        process.stdin.flush()
    except OSError:
        process.wait()
        return None
    return _line(process, _WALL_SECONDS)


def _line(process: subprocess.Popen[bytes], seconds: float) -> bytes | None:
    """One line of its output, or None at its end or when the time is up. It never writes more than was asked for."""
    assert process.stdout is not None
    deadline, collected = time.monotonic() + seconds, b""
    while not collected.endswith(b"\n"):
        ready, _, _ = select.select([process.stdout], [], [], max(deadline - time.monotonic(), 0))
        if not ready:
            return None
        part = os.read(process.stdout.fileno(), 1 << 16)
        if not part:
            process.wait()
            return None
        collected += part
    return collected
