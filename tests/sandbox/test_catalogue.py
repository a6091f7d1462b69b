"""Every attack of the catalogue gets what it wants without walls, and nothing behind them; an honest grader still scores."""

from __future__ import annotations

import socket
import subprocess
import textwrap
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from graders.base import SandboxReply
from graders.sandbox.client import SandboxClient
from graders.sandbox.levels import Level
from tests.sandbox.attempts import HEAD
from tests.sandbox.catalogue import ATTACKS, SEEN_AT_PROCESS, UNSHOWN

# Honest calls and attacks share one source, hence one warm process.
GRADER = f"""{HEAD}
libc = ctypes.CDLL(None, use_errno=True)
def grade(sample, item):
    if sample['body'] is None:
        return 0.25
    names = {{}}
    exec(sample['body'], globals(), names)
    return names['attack'](item)
"""


@pytest.fixture
def world(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """What there is to steal, to break and to reach."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    folder.chmod(0o777)
    tmp_path.chmod(0o755)
    for name in ("secret", "victim"):
        (folder / name).write_text("a key")
        (folder / name).chmod(0o666)
    with ExitStack() as stack:
        process = stack.enter_context(subprocess.Popen(["sleep", "600"]))
        stack.callback(process.kill)
        tcp = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        udp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        udp.bind(("127.0.0.1", 0))
        abstract, unix = (stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(2))
        unix.bind(str(folder / "s"))
        name = f"rft-attack-{process.pid}"
        abstract.bind(f"\0{name}")
        for listener in (abstract, unix):
            listener.listen()
        yield {
            "secret": str(folder / "secret"),
            "victim": str(folder / "victim"),
            "folder": str(folder),
            "pid": process.pid,
            "tcp": tcp.getsockname()[1],
            "udp": udp.getsockname()[1],
            "unix": str(folder / "s"),
            "abstract": name,
        }


@pytest.fixture(scope="module")
def bare() -> Iterator[SandboxClient]:
    client = SandboxClient(wall_seconds=20, level=Level.NONE)
    yield client
    client.close()


@pytest.fixture(scope="module")
def process() -> Iterator[SandboxClient]:
    client = SandboxClient(wall_seconds=20, level=Level.PROCESS)
    yield client
    client.close()


@pytest.fixture(scope="module")
def strict() -> Iterator[SandboxClient]:
    client = SandboxClient(wall_seconds=20, level=Level.STRICT)
    yield client
    client.close()


def attack(sandbox: SandboxClient, identifier: str, world: dict[str, Any]) -> SandboxReply:
    """The attack's reply, from a batch in which an honest call was graded before it and another after it."""
    body = "def attack(item):\n" + textwrap.indent(ATTACKS[identifier], "    ")
    before, reply, after = sandbox.run(GRADER, [({"body": None}, {}), ({"body": body}, world), ({"body": None}, {})])
    assert (before.value, after.value) == (0.25, 0.25)
    return reply


def test_there_are_enough_of_them() -> None:
    assert len(ATTACKS) - len(UNSHOWN) >= 50
    assert UNSHOWN.keys() <= ATTACKS.keys()


@pytest.mark.parametrize("identifier", sorted(ATTACKS.keys() - UNSHOWN.keys()))
def test_it_succeeds_without_walls(bare: SandboxClient, identifier: str, world: dict[str, Any]) -> None:
    reply = attack(bare, identifier, world)
    assert reply.value is True, reply.error


def unharmed(world: dict[str, Any]) -> bool:
    folder = Path(world["folder"])
    names = sorted(path.name for path in folder.iterdir())
    return names == ["s", "secret", "victim"] and {(folder / name).read_text() for name in names[1:]} == {"a key"}


@pytest.mark.parametrize("identifier", sorted(ATTACKS))
def test_it_fails_at_the_strict_level(strict: SandboxClient, identifier: str, world: dict[str, Any]) -> None:
    assert attack(strict, identifier, world).value is not True
    assert unharmed(world)


@pytest.mark.parametrize("identifier", sorted(ATTACKS.keys() - SEEN_AT_PROCESS.keys()))
def test_it_fails_without_namespaces_too(process: SandboxClient, identifier: str, world: dict[str, Any]) -> None:
    assert attack(process, identifier, world).value is not True
    assert unharmed(world)
