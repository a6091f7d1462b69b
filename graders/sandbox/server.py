"""The grader process: takes batches of work on a unix socket and keeps one warm zygote for each tenant and source.

    python -m graders.sandbox.server SOCKET [--python P] [--wall SECONDS] [--parallel N] [--memory BYTES]
        [--minimum LEVEL | --level LEVEL]

Standard library only. Ends when its standard input does, and takes every zygote along.

Request frames and their replies, in order of the work:
{"tenant", "source", "calls": [[sample, item], ...]}: {"replies": [{"value" | "error", "seconds"}, ...]};
{"tenant", "programs": [{"source", "stdin", "seconds", "memory_bytes", "output_bytes"}, ...]}: {"replies": [a ProgramResult]};
{"level": true}: {"level": its name, "refused": {stronger level: why}}.
{"unavailable": text} where nothing could be run.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import socket
import sys
from pathlib import Path
from typing import Any

from graders.sandbox import frames, streams
from graders.sandbox.calls import Collapsed
from graders.sandbox.levels import LEVELS, Level
from graders.sandbox.pool import Pool
from graders.sandbox.warm import CannotStart, LoadFailed

Json = dict[str, Any]


class Server:
    """Answers clients from a pool of zygotes, with at most `parallel` calls at a time."""

    def __init__(self, pool: Pool, parallel: int) -> None:
        self._pool = pool
        self._slots = asyncio.Semaphore(parallel)

    async def serve_client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one client's batches until it leaves."""
        try:
            while (request := await streams.read(reader)) is not None:
                writer.write(frames.pack(await self._answer(request)))
                await writer.drain()
        except (ConnectionError, frames.BrokenFrame):
            pass  # The client went away in the middle; there is nobody to tell.
        finally:
            writer.close()

    async def _answer(self, request: Json) -> Json:
        try:
            level = await self._pool.settle()
            if "calls" in request:
                return {"replies": await self._grade(request["tenant"], request["source"], request["calls"])}
            if "programs" in request:
                programs = [self._execute(request["tenant"], program) for program in request["programs"]]
                return {"replies": await asyncio.gather(*programs)}
            return {"level": level, "refused": self._pool.refused}
        except CannotStart as error:
            return {"unavailable": str(error)}

    async def _grade(self, tenant: str, source: str, calls: list[list[Json]]) -> list[Json]:
        try:
            await self._pool.grader(tenant, source)  # One attempt for the whole batch, should the source not load.
        except LoadFailed as error:
            return [{"error": str(error), "seconds": 0.0} for _ in calls]
        return await asyncio.gather(*(self._call(tenant, source, sample, item) for sample, item in calls))

    async def _call(self, tenant: str, source: str, sample: Json, item: Json) -> Json:
        async with self._slots:
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

    async def _execute(self, tenant: str, program: Json) -> Json:
        async with self._slots:
            for _ in range(2):
                zygote = await self._pool.program(tenant, program["memory_bytes"])
                try:
                    return await zygote.execute(program["source"], program["stdin"], program["seconds"], program["output_bytes"])
                except Collapsed:
                    continue
        raise CannotStart("the sandbox of programs ends before they do")


async def _serve(arguments: argparse.Namespace) -> None:
    scratch = Path(arguments.socket).with_name("scratch")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(mode=0o700)
    levels = [arguments.level] if arguments.level else [level for level in LEVELS if level.rank >= arguments.minimum.rank]
    pool = Pool(arguments.python, levels, arguments.wall, arguments.memory, arguments.parallel, scratch)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(arguments.socket)
        await asyncio.start_unix_server(Server(pool, arguments.parallel).serve_client, sock=listener)
        await _end_of_standard_input()
    await pool.close()
    shutil.rmtree(scratch, ignore_errors=True)
    # Calls in flight go too: their launchers read end of file as this process ends.
    os._exit(0)


async def _end_of_standard_input() -> None:
    """Returns when the owner has closed our standard input, or died."""
    loop = asyncio.get_running_loop()
    ended = loop.create_future()

    def read() -> None:
        if not os.read(sys.stdin.fileno(), 1024) and not ended.done():
            ended.set_result(None)

    loop.add_reader(sys.stdin.fileno(), read)
    await ended


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
    asyncio.run(_serve(parser.parse_args()))


if __name__ == "__main__":
    main()
