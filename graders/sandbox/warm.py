"""The server's side of one zygote: start it, give it calls, end it. Of what it says only a frame's shape is believed."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import secrets
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from graders.sandbox import frames, streams
from graders.sandbox.calls import KILL_SECONDS, Channel, Collapsed, Output
from graders.sandbox.config import Config
from graders.sandbox.launching import News, launch, remove
from graders.sandbox.replies import Exit, checked_value, exit_of, program_result

Json = dict[str, Any]

_START_SECONDS = 30.0
_NEWS_SECONDS = 0.01
"""What was written to a pipe before a process was killed has been read by then."""
_REPLY_BYTES = 64 * 1024


class CannotStart(Exception):
    """The interpreter or the launcher does not come up: no fault of the grader's code."""


class LoadFailed(Exception):
    """The grader's source failed while it was imported."""


class Zygote:
    """A process that has loaded one source, or none. `start` it, give it work from several tasks, `close` it."""

    def __init__(self, launcher: subprocess.Popen[bytes], control: socket.socket, config: Config, wall_seconds: float) -> None:
        self._launcher = launcher
        self._control = control
        self._config = config
        self._wall_seconds = wall_seconds
        self._numbers = itertools.count(1)
        self._in_flight = 0
        self._condemned = False
        assert launcher.stdout is not None
        self._news = News(launcher.stdout)

    @classmethod
    async def start(cls, source: str, template: Config, wall_seconds: float, scratch_root: Path) -> Zygote:
        """Launch and load. `template` lacks the scratch directory and the descriptors. Raises `CannotStart` or `LoadFailed`."""
        control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        load, load_theirs = socket.socketpair()
        control.setblocking(False)
        scratch = tempfile.mkdtemp(dir=scratch_root)
        with theirs, load_theirs:
            config = replace(template, scratch=scratch, control=theirs.fileno(), load=load_theirs.fileno())
            launcher = launch(config)
        zygote = cls(launcher, control, config, wall_seconds)
        try:
            await zygote._load(load, source)
        except BaseException:
            await zygote.close()
            raise
        return zygote

    @property
    def dead(self) -> bool:
        """Whether it can take no more calls."""
        if self._condemned:
            return True
        try:
            # Nobody speaks on this channel: readable means closed.
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

    async def grade(self, sample: Json, item: Json) -> Json:
        """One call in a fork of its own: {"value" | "error", "seconds"}. Raises `Collapsed`."""
        # Only this call's process is told: a frame without it is no value.
        nonce = secrets.token_hex(16)
        request = frames.pack({"sample": sample, "item": item, "nonce": nonce})
        started = time.monotonic()
        async with self._call() as channel:
            reply = await self._outcome(channel, request, nonce)
        return {**reply, "seconds": time.monotonic() - started}

    async def _outcome(self, channel: Channel, request: bytes, nonce: str) -> Json:
        try:
            async with asyncio.timeout(self._wall_seconds):
                reply = await channel.ask(request)
        except TimeoutError:
            await self._kill(channel)
            return {"error": f"grade ran longer than {self._wall_seconds:g} seconds and was stopped"}
        except frames.BrokenFrame as error:
            await self._kill(channel)
            return {"error": f"the grader's process sent no valid result: {error}"}
        end = exit_of(reply)
        if end is not None:
            return {"error": f"the grader's process ended without a result ({await self._ending(end)})"}
        if not await self._ends_well(channel):
            return {"error": "the grader's process went on after its result and was stopped"}
        return checked_value(reply, nonce)

    async def _ends_well(self, channel: Channel) -> bool:
        """Whether a call that has sent its result ends by itself: none may go on behind it, be it into a limit that kills it."""
        try:
            async with asyncio.timeout(KILL_SECONDS):
                end = exit_of(await channel.last())
        except (TimeoutError, frames.BrokenFrame):
            await self._kill(channel)
            return False
        return end is not None and end.status == 0

    async def execute(self, source: str, stdin: str, seconds: float, output_bytes: int) -> Json:
        """Run one script in a fork of its own: the fields of a `ProgramResult`. Raises `Collapsed`."""
        request = frames.pack({"source": source, "stdin": stdin})
        started = time.monotonic()
        outputs = [Output(output_bytes), Output(output_bytes)]
        try:
            async with self._call([output.theirs for output in outputs]) as channel:
                for output in outputs:
                    output.start()
                end = await self._end_of_program(channel, request, seconds)
            texts = [await output.text() for output in outputs]
        finally:
            for output in outputs:
                output.close()
        lasted = time.monotonic() - started
        return program_result(end, texts, lasted, out_of_memory=end is not None and await self._used_too_much(end))

    async def _end_of_program(self, channel: Channel, request: bytes, seconds: float) -> Exit | None:
        """How it ended; None if it had to be killed for its time. Raises `Collapsed`."""
        try:
            async with asyncio.timeout(seconds):
                end = exit_of(await channel.ask(request))
        except TimeoutError:
            await self._kill(channel)
            return None
        except frames.BrokenFrame:
            end = None
        if end is None:
            # A program has no way to speak here.
            raise Collapsed
        return end

    @contextlib.asynccontextmanager
    async def _call(self, attached: Sequence[int] = ()) -> AsyncIterator[Channel]:
        number = next(self._numbers)
        self._in_flight += 1
        try:
            ours, theirs = socket.socketpair()
            with theirs:
                try:
                    self._tell({"call": number}, [theirs.fileno(), *attached])
                except Collapsed:
                    ours.close()
                    raise
            ours.setblocking(False)
            with ours:
                channel = Channel(number, ours)
                try:
                    yield channel
                except asyncio.CancelledError:
                    # Nobody waits for it any more.
                    await self._kill(channel)
                    raise
        finally:
            self._in_flight -= 1
            with contextlib.suppress(Collapsed):
                self._tell({"end": number})

    async def close(self) -> None:
        """End the zygote and all its calls; the launcher sees to it when its standard input closes."""
        self._condemned = True
        self._control.close()
        assert self._launcher.stdin is not None
        self._launcher.stdin.close()
        deadline = time.monotonic() + 2 * KILL_SECONDS
        while self._launcher.poll() is None:
            if time.monotonic() > deadline:
                self._launcher.kill()
            await asyncio.sleep(0.005)
        self._news.close()
        remove(self._config.scratch)

    async def _load(self, load: socket.socket, source: str) -> None:
        reader, writer = await asyncio.open_connection(sock=load)
        try:
            await self._wait_for_start(reader)
            await self._send_source(reader, writer, source)
        finally:
            writer.close()
        self._tell({"loaded": True})
        try:
            async with asyncio.timeout(KILL_SECONDS):
                alone = await self._news.alone()
        except TimeoutError:
            alone = False
        if not alone:
            raise LoadFailed("the source leaves threads or processes running after it was imported")

    async def _wait_for_start(self, reader: asyncio.StreamReader) -> None:
        try:
            async with asyncio.timeout(_START_SECONDS):
                started = await streams.read(reader, _REPLY_BYTES)
        except (TimeoutError, ConnectionError, frames.BrokenFrame):
            started = None
        if started is None:
            raise CannotStart(await self._news.refusal() or "the interpreter of python graders does not start in the sandbox")

    async def _send_source(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, source: str) -> None:
        try:
            async with asyncio.timeout(self._wall_seconds):
                writer.write(frames.pack({"source": source}))
                await writer.drain()
                outcome = await streams.read(reader, _REPLY_BYTES)
        except TimeoutError:
            raise LoadFailed(f"loading the source took longer than {self._wall_seconds:g} seconds") from None
        except (ConnectionError, frames.BrokenFrame):
            outcome = None
        if outcome is None:
            raise LoadFailed("the source ended its process while it was being loaded")
        if outcome != {"ready": True}:
            raise LoadFailed(checked_value(outcome, "").get("error", ""))

    async def _ending(self, end: Exit) -> str:
        if await self._used_too_much(end):
            return f"it used more than {self._config.memory_bytes >> 20} MB of memory"
        return f"exit code {end.status}" if end.status >= 0 else f"signal {-end.status}"

    async def _used_too_much(self, end: Exit) -> bool:
        if end.status != -signal.SIGKILL:
            return False
        await asyncio.sleep(_NEWS_SECONDS)
        return end.pid in self._news.out_of_memory

    async def _kill(self, channel: Channel) -> None:
        """Ask the zygote to kill one call. If the call outlives that, the zygote itself has to go."""
        try:
            self._tell({"kill": channel.number})
            async with asyncio.timeout(KILL_SECONDS):
                await channel.rest()
        except (TimeoutError, Collapsed):
            await self.close()

    def _tell(self, command: Json, attached: Sequence[int] = ()) -> None:
        try:
            socket.send_fds(self._control, [json.dumps(command).encode()], attached)
        except OSError:
            self._condemned = True
            raise Collapsed from None
