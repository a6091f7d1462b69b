"""The grader process: takes batches of work on a unix socket and keeps one warm zygote for each tenant and source.

    python -m graders.sandbox.server SOCKET [--python P] [--wall SECONDS] [--parallel N] [--memory BYTES]
        [--minimum LEVEL | --level LEVEL] [--service]

Standard library only. Ends when its standard input does, or as a `--service` of several owners at SIGTERM, and takes every zygote
along.

Request frames and their replies, in order of the work, after any number of {"alive": true}:
{"tenant", "source", "calls": [[sample, item], ...]}: {"replies": [{"value" | "error", "seconds"}, ...]};
{"tenant", "programs": [{"source", "stdin", "seconds", "memory_bytes", "output_bytes"}, ...]}: {"replies": [a ProgramResult]};
{"level": true}: {"level": its name, "refused": {stronger level: why}};
{"figures": true}: numbers by name, as `graders.sandbox.figures` tells them.
{"unavailable": text} where nothing could be run.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from graders.sandbox import frames, streams
from graders.sandbox.calls import Collapsed
from graders.sandbox.levels import LEVELS, Level
from graders.sandbox.listening import end_of_service, end_of_standard_input, listen
from graders.sandbox.pool import Pool
from graders.sandbox.turns import Turns
from graders.sandbox.warm import CannotStart, LoadFailed

Json = dict[str, Any]

ALIVE_SECONDS = 2.0
"""How often a client hears that its batch is being worked on."""


class Server:
    """Answers clients from a pool of zygotes, with at most `parallel` calls at a time."""

    def __init__(self, pool: Pool, parallel: int) -> None:
        self._pool = pool
        self._turns = Turns(parallel)
        self._batches = itertools.count()

    async def serve_client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one client's batches until it leaves; what it waited for is stopped then."""
        try:
            while (request := await streams.read(reader)) is not None:
                if not await self._serve_batch(request, reader, writer):
                    return
        except (ConnectionError, frames.BrokenFrame):
            pass  # The client went away in the middle; there is nobody to tell.
        finally:
            writer.close()

    async def _serve_batch(self, request: Json, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Whether the client was there to take the answer. It says nothing before it has one."""
        answer, gone = asyncio.create_task(self._answer(request)), asyncio.create_task(reader.read(1))
        try:
            while not (await asyncio.wait({answer, gone}, timeout=ALIVE_SECONDS, return_when=asyncio.FIRST_COMPLETED))[0]:
                writer.write(frames.pack({"alive": True}))
            if gone.done():
                return False
        finally:
            # Both have ended before the client hears a word that it could answer.
            for task in (gone, answer):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, ConnectionError):
                    await task
        writer.write(frames.pack(answer.result()))
        await writer.drain()
        return True

    async def _answer(self, request: Json) -> Json:
        if "figures" in request:
            return {**self._turns.figures, **self._pool.figures}
        batch = next(self._batches)
        try:
            level = await self._pool.settle()
            if "calls" in request:
                return {"replies": await self._grade(request["tenant"], batch, request["source"], request["calls"])}
            if "programs" in request:
                programs = [self._execute(request["tenant"], batch, program) for program in request["programs"]]
                return {"replies": await asyncio.gather(*programs)}
            return {"level": level, "refused": self._pool.refused}
        except CannotStart as error:
            return {"unavailable": str(error)}

    async def _grade(self, tenant: str, batch: int, source: str, calls: list[list[Json]]) -> list[Json]:
        try:
            await self._pool.grader(tenant, source)  # One attempt for the whole batch, should the source not load.
        except LoadFailed as error:
            return [{"error": str(error), "seconds": 0.0} for _ in calls]
        return await asyncio.gather(*(self._call(tenant, batch, source, sample, item) for sample, item in calls))

    async def _call(self, tenant: str, batch: int, source: str, sample: Json, item: Json) -> Json:
        async with self._turns.turn(tenant, batch):
            try:
                zygote = await self._pool.grader(tenant, source)
                return await zygote.grade(sample, item)
            except Collapsed:
                return await self._call_alone(source, sample, item)
            except LoadFailed as error:
                return {"error": str(error), "seconds": 0.0}

    async def _call_alone(self, source: str, sample: Json, item: Json) -> Json:
        """A zygote fell with several calls in flight: give this one a zygote of its own, to see whose fault it was."""
        try:
            zygote = await self._pool.fresh_grader(source)
        except LoadFailed as error:
            return {"error": str(error), "seconds": 0.0}
        try:
            return await zygote.grade(sample, item)
        except Collapsed:
            return {"error": "the grader ended the process that runs it", "seconds": 0.0}
        finally:
            await zygote.close()

    async def _execute(self, tenant: str, batch: int, program: Json) -> Json:
        async with self._turns.turn(tenant, batch):
            for _ in range(2):
                zygote = await self._pool.program(tenant, program["memory_bytes"])
                try:
                    return await zygote.execute(program["source"], program["stdin"], program["seconds"], program["output_bytes"])
                except Collapsed:
                    continue
        raise CannotStart("the sandbox of programs ends before they do")


async def _serve(arguments: argparse.Namespace) -> None:
    levels = [arguments.level] if arguments.level else [level for level in LEVELS if level.rank >= arguments.minimum.rank]
    scratch = _shared_scratch() if arguments.service else _own_scratch(Path(arguments.socket))
    pool = Pool(arguments.python, levels, arguments.wall, arguments.memory, arguments.parallel, scratch)
    with listen(arguments.socket, shared=arguments.service) as listener:
        await asyncio.start_unix_server(Server(pool, arguments.parallel).serve_client, sock=listener)
        await (end_of_service() if arguments.service else end_of_standard_input())
    if arguments.service:
        os.unlink(arguments.socket)
    await pool.close()
    shutil.rmtree(scratch, ignore_errors=True)
    # Calls in flight go too: their launchers read end of file as this process ends.
    os._exit(0)


def _own_scratch(path: Path) -> Path:
    """In the owner's directory, which goes with the owner."""
    scratch = path.with_name("scratch")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(mode=0o700)
    return scratch


def _shared_scratch() -> Path:
    """Not beside a socket that others reach."""
    return Path(tempfile.mkdtemp(prefix="rft-scratch-"))


def main() -> None:
    """Serve until standard input ends."""
    parser = argparse.ArgumentParser(prog="graders.sandbox.server")
    parser.add_argument("socket")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--wall", type=float, default=120.0)
    parser.add_argument("--parallel", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--memory", type=int, default=2 << 30)
    parser.add_argument("--minimum", type=Level, default=Level.PROCESS)
    parser.add_argument("--level", type=Level)
    parser.add_argument("--service", action="store_true")
    asyncio.run(_serve(parser.parse_args()))


if __name__ == "__main__":
    main()
