"""The server's side of one zygote: start it, give it calls, end it. Of what it says only a frame's shape is believed."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import math
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graders.sandbox import frames

Json = dict[str, Any]

_HERE = Path(__file__).parent
_START_SECONDS = 30.0
_KILL_SECONDS = 2.0
_REPLY_BYTES = 64 * 1024
_ERROR_CHARACTERS = 2000
_FILE_BYTES = 1 << 30


class CannotStart(Exception):
    """The interpreter or the launcher does not come up: no fault of the grader's code."""


class LoadFailed(Exception):
    """The grader's source failed while it was imported."""


class Collapsed(Exception):
    """The zygote has gone, or can no longer be trusted to answer; the call may not be the one at fault."""


@dataclass(frozen=True)
class Limits:
    """What a grader may use."""

    python: str
    wall_seconds: float
    """For one call, and for loading the source."""
    memory_bytes: int
    """Address space of each process."""
    namespaces: bool
    """Ask the kernel for own user, network, process and IPC namespaces; not getting them is tolerated."""

    @property
    def cpu_seconds(self) -> int:
        """Processor time of one call: two cores for the whole wall time."""
        return math.ceil(2 * self.wall_seconds) + 1


class Zygote:
    """A process that has loaded one source. `start` it, `call` it from several tasks, `close` it."""

    def __init__(self, launcher: subprocess.Popen[bytes], control: socket.socket, scratch: Path, limits: Limits) -> None:
        self._launcher = launcher
        self._control = control
        self._scratch = scratch
        self._limits = limits
        self._numbers = itertools.count(1)
        self._in_flight = 0
        self._condemned = False

    @classmethod
    async def start(cls, source: str, limits: Limits, scratch_root: Path) -> Zygote:
        """Launch and load. Raises `CannotStart` or `LoadFailed`."""
        control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        load, load_theirs = socket.socketpair()
        control.setblocking(False)
        scratch = Path(tempfile.mkdtemp(dir=scratch_root))
        with theirs, load_theirs:
            launcher = _launch(limits, theirs.fileno(), load_theirs.fileno(), scratch)
        zygote = cls(launcher, control, scratch, limits)
        reader, writer = await asyncio.open_connection(sock=load)
        try:
            await _load(reader, writer, source, limits.wall_seconds)
        except BaseException:
            await zygote.close()
            raise
        finally:
            writer.close()
        return zygote

    @property
    def dead(self) -> bool:
        """Whether it can take no more calls."""
        if self._condemned:
            return True
        try:
            # It never speaks on this channel: readable means closed, or hostile.
            self._control.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            pass
        return True

    @property
    def idle(self) -> bool:
        """Whether no call is in flight."""
        return self._in_flight == 0

    async def call(self, request: bytes) -> Json:
        """Run one framed request in a fork of its own: {"value" | "error", "seconds"}. Raises `Collapsed`."""
        number = next(self._numbers)
        self._in_flight += 1
        started = time.monotonic()
        try:
            channel, theirs = socket.socketpair()
            with theirs:
                self._tell({"call": number}, theirs)
            reader, writer = await asyncio.open_connection(sock=channel)
            try:
                reply = await self._reply(number, reader, writer, request)
            finally:
                writer.close()
        finally:
            self._in_flight -= 1
            _remove(self._scratch / str(number))
        return {**_checked(reply), "seconds": time.monotonic() - started}

    async def close(self) -> None:
        """End the zygote and all its calls; the launcher sees to it when its standard input closes."""
        self._condemned = True
        self._control.close()
        assert self._launcher.stdin is not None
        self._launcher.stdin.close()
        deadline = time.monotonic() + _KILL_SECONDS
        while self._launcher.poll() is None:
            if time.monotonic() > deadline:
                self._launcher.kill()
            await asyncio.sleep(0.005)
        _remove(self._scratch)

    async def _reply(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> Any:
        try:
            async with asyncio.timeout(self._limits.wall_seconds):
                with contextlib.suppress(ConnectionError):  # A child may die before it has read; its status still comes.
                    writer.write(request)
                    await writer.drain()
                reply = await frames.read(reader, _REPLY_BYTES)
        except TimeoutError:
            await self._kill(number, reader)
            return {"error": f"grade ran longer than {self._limits.wall_seconds:g} seconds and was stopped"}
        except frames.BrokenFrame as error:
            return {"error": f"the grader's process sent no valid result: {error}"}
        except ConnectionError:
            reply = None
        if reply is None:
            # The zygote holds the other end until it has reported the child's status, so it must be gone.
            raise Collapsed
        return reply

    async def _kill(self, number: int, reader: asyncio.StreamReader) -> None:
        """Ask the zygote to kill one call. If the call outlives that, the zygote itself has to go."""
        try:
            self._tell({"kill": number})
            async with asyncio.timeout(_KILL_SECONDS):
                await reader.read(-1)
        except (TimeoutError, Collapsed, ConnectionError):
            await self.close()

    def _tell(self, command: Json, attached: socket.socket | None = None) -> None:
        try:
            socket.send_fds(self._control, [json.dumps(command).encode()], [attached.fileno()] if attached else [])
        except OSError:
            self._condemned = True
            raise Collapsed from None


def _launch(limits: Limits, control: int, load: int, scratch: Path) -> subprocess.Popen[bytes]:
    arguments = [str(int(limits.namespaces)), str(limits.memory_bytes), str(_FILE_BYTES), limits.python, "-s", "-P"]
    zygote = [str(_HERE / "zygote.py"), str(control), str(load), str(limits.cpu_seconds)]
    return subprocess.Popen(
        [sys.executable, "-I", "-S", str(_HERE / "launcher.py"), *arguments, *zygote],
        stdin=subprocess.PIPE,
        cwd=scratch,
        env=_environment(scratch),
        pass_fds=(control, load),
        start_new_session=True,
    )


def _environment(scratch: Path) -> dict[str, str]:
    # Nothing of ours. The fixed hash seed makes grading repeatable; -I would ignore it, so the interpreter runs without.
    # Threads of numeric libraries would not survive the forks.
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": str(scratch),
        "TMPDIR": str(scratch),
        "LANG": "C.UTF-8",
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
    }


async def _load(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, source: str, seconds: float) -> None:
    try:
        async with asyncio.timeout(_START_SECONDS):
            started = await frames.read(reader, _REPLY_BYTES)
    except (TimeoutError, ConnectionError, frames.BrokenFrame):
        started = None
    if started is None:
        raise CannotStart("the interpreter of python graders does not start")
    try:
        async with asyncio.timeout(seconds):
            writer.write(frames.pack({"source": source}))
            await writer.drain()
            outcome = await frames.read(reader, _REPLY_BYTES)
    except TimeoutError:
        raise LoadFailed(f"loading the source took longer than {seconds:g} seconds") from None
    except (ConnectionError, frames.BrokenFrame):
        outcome = None
    if outcome is None:
        raise LoadFailed("the source ended its process while it was being loaded")
    if outcome != {"ready": True}:
        raise LoadFailed(_checked(outcome)["error"])


def _checked(reply: Any) -> Json:
    """A frame from hostile hands as {"value": number} or {"error": text}."""
    match reply:
        case {"value": bool() | int() | float() as value}:
            return {"value": value}
        case {"error": str() as text}:
            return {"error": text[-_ERROR_CHARACTERS:]}
        case {"status": int() as status}:
            return {"error": f"the grader's process ended without a result ({_ending(status)})"}
    return {"error": "the grader's process sent no valid result"}


def _ending(status: int) -> str:
    return f"exit code {status}" if status >= 0 else f"signal {-status}"


def _remove(directory: Path) -> None:
    """Remove what a grader left. Empty is the common case; the rest, however deep or large, is a separate program's work."""
    try:
        directory.rmdir()
    except FileNotFoundError:
        return
    except OSError:
        rm = shutil.which("rm") or "/bin/rm"
        subprocess.Popen([rm, "-rf", "--", str(directory)], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
