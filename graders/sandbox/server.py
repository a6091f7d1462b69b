"""The grader process: takes batches of calls on a unix socket and keeps one warm zygote for each grader's source.

    python -m graders.sandbox.server SOCKET [--python P] [--wall SECONDS] [--parallel N] [--memory BYTES] [--no-namespaces]

Standard library only. Ends when its standard input does, and takes every zygote along.

Request frame: {"source", "calls": [[sample, item], ...]}. Reply: {"replies": [{"value" | "error", "seconds"}, ...]} in order, or
{"unavailable": text} where nothing could be run.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
import shutil
import socket
import sys
from pathlib import Path
from typing import Any

from graders.sandbox import frames
from graders.sandbox.warm import CannotStart, Collapsed, Limits, LoadFailed, Zygote

Json = dict[str, Any]

WARM_ZYGOTES = 8


class Server:
    """Runs calls on warm zygotes, at most `parallel` at a time."""

    def __init__(self, limits: Limits, parallel: int, scratch: Path) -> None:
        self._limits = limits
        self._slots = asyncio.Semaphore(parallel)
        self._scratch = scratch
        self._warm: dict[str, asyncio.Task[Zygote]] = {}
        """By digest of the source, the least recently used first."""

    async def serve_client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one client's batches until it leaves."""
        try:
            while (request := await frames.read(reader)) is not None:
                writer.write(frames.pack(await self._answer(request["source"], request["calls"])))
                await writer.drain()
        except (ConnectionError, frames.BrokenFrame):
            pass  # The client went away in the middle; there is nobody to tell.
        finally:
            writer.close()

    async def _answer(self, source: str, calls: list[list[Json]]) -> Json:
        try:
            await self._zygote(source)  # One attempt for the whole batch, should the source not load.
            return {"replies": await asyncio.gather(*(self._call(source, sample, item) for sample, item in calls))}
        except LoadFailed as error:
            return {"replies": [{"error": str(error), "seconds": 0.0} for _ in calls]}
        except CannotStart as error:
            return {"unavailable": str(error)}

    async def _call(self, source: str, sample: Json, item: Json) -> Json:
        request = frames.pack({"sample": sample, "item": item})
        async with self._slots:
            try:
                zygote = await self._zygote(source)
                return await zygote.call(request)
            except Collapsed:
                return await self._call_alone(source, request)
            except LoadFailed as error:
                return {"error": str(error), "seconds": 0.0}

    async def _call_alone(self, source: str, request: bytes) -> Json:
        """A zygote fell with several calls in flight: give this one a zygote of its own, to see whose fault it was."""
        try:
            zygote = await Zygote.start(source, self._limits, self._scratch)
        except LoadFailed as error:
            return {"error": str(error), "seconds": 0.0}
        try:
            return await zygote.call(request)
        except Collapsed:
            return {"error": "the grader ended the process that runs it", "seconds": 0.0}
        finally:
            await zygote.close()

    async def _zygote(self, source: str) -> Zygote:
        """The warm zygote of a source, started if there is none. Raises `LoadFailed` or `CannotStart`."""
        digest = hashlib.sha256(source.encode("utf-8", "surrogatepass")).hexdigest()
        task = self._warm.pop(digest, None)
        spent = task if task is not None and _spent(task) else None
        if task is None or spent is not None:
            task = asyncio.create_task(Zygote.start(source, self._limits, self._scratch))
        self._warm[digest] = task
        for other in [*self._over_the_limit(digest), *([spent] if spent else [])]:
            await _discard(other)
        return await asyncio.shield(task)

    def _over_the_limit(self, keep: str) -> list[asyncio.Task[Zygote]]:
        """Take the least recently used idle zygotes off the list."""
        idle = [
            digest
            for digest, task in self._warm.items()
            if digest != keep and task.done() and (task.exception() or task.result().idle)
        ]
        return [self._warm.pop(digest) for digest in idle[: max(0, len(self._warm) - WARM_ZYGOTES)]]

    async def close(self) -> None:
        """End every warm zygote."""
        for task in self._warm.values():
            if task.done():
                await _discard(task)


def _spent(task: asyncio.Task[Zygote]) -> bool:
    return task.done() and (task.exception() is not None or task.result().dead)


async def _discard(task: asyncio.Task[Zygote]) -> None:
    if task.exception() is None:
        await task.result().close()


async def _serve(arguments: argparse.Namespace) -> None:
    limits = Limits(
        python=arguments.python,
        wall_seconds=arguments.wall,
        memory_bytes=arguments.memory,
        namespaces=not arguments.no_namespaces,
    )
    scratch = Path(arguments.socket).with_name("scratch")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(mode=0o700)
    server = Server(limits, arguments.parallel, scratch)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(arguments.socket)
        await asyncio.start_unix_server(server.serve_client, sock=listener)
        await _end_of_standard_input()
    await server.close()
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
    parser.add_argument("--no-namespaces", action="store_true")
    asyncio.run(_serve(parser.parse_args()))


if __name__ == "__main__":
    main()
