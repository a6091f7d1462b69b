"""How a grader process listens, and when it ends. Standard library only."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys


def listen(path: str, *, shared: bool) -> socket.socket:
    """A listening unix socket at `path`.

    A `shared` one replaces what a service before has left there, and is open to the group of its owner, who shares it with other
    containers or users by its directory. Raises `OSError` where the path is taken.
    """
    listener = socket.socket(socket.AF_UNIX)
    if not shared:
        listener.bind(path)
        return listener
    if _answers(path):
        raise FileExistsError(f"another service listens on {path}")
    fresh = f"{path}.{os.getpid()}"
    listener.bind(fresh)
    os.chmod(fresh, 0o660)  # before it listens: nobody else may have connected until then
    listener.listen(128)
    os.rename(fresh, path)
    return listener


async def end_of_standard_input() -> None:
    """Returns when the owner has closed our standard input, or died."""
    loop = asyncio.get_running_loop()
    ended = loop.create_future()

    def read() -> None:
        if not os.read(sys.stdin.fileno(), 1024) and not ended.done():
            ended.set_result(None)

    loop.add_reader(sys.stdin.fileno(), read)
    await ended


async def end_of_service() -> None:
    """Returns at SIGTERM or SIGINT."""
    asked = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, asked.set)
    await asked.wait()


def _answers(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except (FileNotFoundError, ConnectionRefusedError):
            return False
    return True
