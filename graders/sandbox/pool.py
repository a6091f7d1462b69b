"""Warm zygotes: one for each tenant and source, at the best level that this machine gives."""

from __future__ import annotations

import asyncio
import hashlib
import math
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from graders.sandbox.calls import Collapsed
from graders.sandbox.config import Config
from graders.sandbox.interpreter import Interpreter, NoInterpreter, inspect
from graders.sandbox.levels import Level
from graders.sandbox.warm import CannotStart, LoadFailed, Zygote

WARM_ZYGOTES = 8
_TRIAL = "def grade(sample, item): return 1"
_GRADER_DISK, _PROGRAM_DISK = 1 << 30, 64 << 20
_GRADER_FILES, _PROGRAM_FILES = 16_384, 1024
_GRADER_PROCESSES, _PROGRAM_PROCESSES = 64, 32
_OPEN_FILES = 256

Key = tuple[str, str]
"""A tenant, and what its zygote has loaded."""


class Pool:
    """Starts zygotes and keeps the latest ones. `levels` are those it may use; `settle` finds the strongest that works."""

    def __init__(
        self, python: str, levels: Sequence[Level], wall_seconds: float, memory_bytes: int, parallel: int, scratch: Path
    ) -> None:
        self._python = python
        self._levels = sorted(levels, key=lambda level: -level.rank)
        self._wall_seconds = wall_seconds
        self._memory_bytes = memory_bytes
        self._parallel = parallel
        self._scratch = scratch
        self._warm: dict[Key, asyncio.Task[Zygote]] = {}
        """The least recently used first."""
        self._settled: tuple[Level, Interpreter] | None = None
        self._settling = asyncio.Lock()
        self._starts = 0
        self.refused: dict[str, str] = {}
        """The levels that were tried and do not work here, and why."""

    @property
    def figures(self) -> dict[str, int]:
        """How many zygotes are warm, and how many were started so far."""
        return {"zygotes": len(self._warm), "zygote_starts_total": self._starts}

    async def settle(self) -> Level:
        """The level of all zygotes: the strongest one that starts. Raises `CannotStart` where there is none."""
        async with self._settling:
            if self._settled is None:
                self._settled = await self._find_level()
        return self._settled[0]

    async def grader(self, tenant: str, source: str) -> Zygote:
        """The warm zygote of a source. Raises `LoadFailed` or `CannotStart`."""
        digest = hashlib.sha256(source.encode("utf-8", "surrogatepass")).hexdigest()
        return await self._get((tenant, digest), source, self._template("grader", self._memory_bytes))

    async def fresh_grader(self, source: str) -> Zygote:
        """One that nobody else uses; the caller closes it. Raises `LoadFailed` or `CannotStart`."""
        return await Zygote.start(source, self._template("grader", self._memory_bytes), self._wall_seconds, self._scratch)

    async def program(self, tenant: str, memory_bytes: int) -> Zygote:
        """The tenant's warm zygote of programs with this memory. Raises `CannotStart`."""
        try:
            return await self._get((tenant, f"program {memory_bytes}"), "", self._template("program", memory_bytes))
        except LoadFailed as error:
            raise CannotStart(str(error)) from error

    async def close(self) -> None:
        """End every warm zygote."""
        for task in self._warm.values():
            if task.done():
                await _discard(task)

    async def _find_level(self) -> tuple[Level, Interpreter]:
        try:
            interpreter = await asyncio.to_thread(inspect, shutil.which(self._python) or self._python)
        except NoInterpreter as error:
            raise CannotStart(str(error)) from error
        for level in self._levels:
            self._settled = (level, interpreter)
            try:
                zygote = await self.fresh_grader(_TRIAL)
                try:
                    reply = await zygote.grade({}, {})
                finally:
                    await zygote.close()
            except (CannotStart, LoadFailed, Collapsed) as error:
                reply = {"error": str(error) or "the sandbox falls at its first call"}
            if reply.get("value") == 1:
                return level, interpreter
            self.refused[level] = reply["error"]
        self._settled = None
        reasons = "; ".join(f"{level}: {reason}" for level, reason in self.refused.items())
        raise CannotStart(f"this host gives no sandbox of level '{self._levels[-1]}' or above ({reasons})")

    def _template(self, kind: str, memory_bytes: int) -> Config:
        assert self._settled is not None
        level, interpreter = self._settled
        config = Config(
            level=level,
            kind=kind,
            executable=interpreter.executable,
            paths=interpreter.paths,
            scratch="",
            control=-1,
            load=-1,
            memory_bytes=memory_bytes,
            disk_bytes=_GRADER_DISK,
            disk_files=_GRADER_FILES,
            open_files=_OPEN_FILES,
            processes=_GRADER_PROCESSES,
            parallel=self._parallel,
            # Two cores for the whole wall time.
            cpu_seconds=math.ceil(2 * self._wall_seconds) + 1,
        )
        if kind == "program":
            return replace(config, disk_bytes=_PROGRAM_DISK, disk_files=_PROGRAM_FILES, processes=_PROGRAM_PROCESSES)
        return config

    async def _get(self, key: Key, source: str, template: Config) -> Zygote:
        task = self._warm.pop(key, None)
        spent = task if task is not None and _spent(task) else None
        if task is None or spent is not None:
            self._starts += 1
            task = asyncio.create_task(Zygote.start(source, template, self._wall_seconds, self._scratch))
        self._warm[key] = task
        for other in [*self._over_the_limit(key), *([spent] if spent else [])]:
            await _discard(other)
        return await asyncio.shield(task)

    def _over_the_limit(self, keep: Key) -> list[asyncio.Task[Zygote]]:
        """Take the least recently used idle zygotes off the list."""
        idle = [
            key for key, task in self._warm.items() if key != keep and task.done() and (task.exception() or task.result().idle)
        ]
        return [self._warm.pop(key) for key in idle[: max(0, len(self._warm) - WARM_ZYGOTES)]]


def _spent(task: asyncio.Task[Zygote]) -> bool:
    return task.done() and (task.exception() is not None or task.result().dead)


async def _discard(task: asyncio.Task[Zygote]) -> None:
    if task.exception() is None:
        await task.result().close()
