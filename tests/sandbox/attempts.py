"""What the tests of the walls share: graders that try something."""

from __future__ import annotations

from typing import Any

from graders.base import SandboxReply
from graders.sandbox.client import SandboxClient

HEAD = "import ctypes, mmap, os, signal, socket, sys, threading, time"
# One source for all attempts, so that they share a warm zygote.
_ANY = f"""{HEAD}
libc = ctypes.CDLL(None)
def grade(sample, item):
    exec(sample["body"], globals())
    return attempt(item)
"""


def source(*lines: str, head: str = "") -> str:
    """`grade` with this body."""
    return "\n".join([HEAD, head, "def grade(sample, item):", *_indented(lines)])


def attempt(sandbox: SandboxClient, *lines: str, item: Any = None) -> SandboxReply:
    """One call of a grader with this body. `libc` is the C library."""
    body = "\n".join(["def attempt(item):", *_indented(lines)])
    return sandbox.run(_ANY, [({"body": body}, item or {})])[0]


def loading(sandbox: SandboxClient, head: str) -> SandboxReply:
    """One call of a grader that does this while it is imported."""
    return sandbox.run(source("return 1.0", head=head), [({}, {})])[0]


def _indented(lines: tuple[str, ...]) -> list[str]:
    return [f"    {line}" for line in lines]
