"""Starting a launcher, and hearing what it and its keeper have to say."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import IO

from graders.sandbox.calls import KILL_SECONDS
from graders.sandbox.config import Config

_ROOT = Path(__file__).resolve().parents[2]


def launch(config: Config) -> subprocess.Popen[bytes]:
    """The walls around one zygote, and the zygote; its scratch directory must be there and empty."""
    return subprocess.Popen(
        [sys.executable, "-S", "-P", "-m", "graders.sandbox.launcher", config.to_argument()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=config.scratch,
        env=_environment(),
        pass_fds=(config.control, config.load),
        start_new_session=True,
    )


def _environment() -> dict[str, str]:
    # Nothing of ours. The fixed hash seed makes grading repeatable. Threads of numeric libraries would not survive the forks.
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "USER": "grader",
        "PYTHONPATH": str(_ROOT),
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
    }


def remove(directory: str) -> None:
    """With all that calls may have left in it: a separate program's work."""
    rm = shutil.which("rm") or "/bin/rm"
    subprocess.Popen([rm, "-rf", "--", directory], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class News:
    """What the launcher and the keeper say on standard output, a line each."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self.out_of_memory: set[int] = set()
        """What the zygote calls the processes that were ended for their use of memory."""
        self._refusal: str | None = None
        self._alone: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._listen(pipe))

    async def alone(self) -> bool:
        """Whether the zygote has no other threads and no children after it has loaded."""
        return await self._alone

    async def refusal(self) -> str | None:
        """Which wall could not be built, if that is why there is no zygote."""
        await asyncio.wait([self._task], timeout=KILL_SECONDS)
        return self._refusal

    def close(self) -> None:
        """Stop listening."""
        self._task.cancel()

    async def _listen(self, pipe: IO[bytes]) -> None:
        reader = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
        try:
            while line := (await reader.readline()).decode("utf-8", "replace"):
                self._hear(line.strip())
        finally:
            transport.close()
            if not self._alone.done():
                self._alone.set_result(False)

    def _hear(self, line: str) -> None:
        match line.split():
            case ["alone" | "company" as word] if not self._alone.done():
                self._alone.set_result(word == "alone")
            case ["memory", pid]:
                self.out_of_memory.add(int(pid))
            case _ if line.startswith("{"):
                self._refusal = json.loads(line)["refused"]
