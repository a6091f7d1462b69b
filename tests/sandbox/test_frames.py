"""A result is a number that the call itself returned."""

from __future__ import annotations

import pytest

from graders.base import Program
from graders.sandbox.client import SandboxClient
from tests.sandbox.attempts import attempt, source

FRAMES = {
    "a value": b'{"value": 1.0}',
    "a value with a nonce": b'{"value": 1.0, "nonce": ""}',
    "a status": b'{"status": 0}',
    "a whole status": b'{"status": 0, "pid": 1, "peak": 1, "value": 1.0}',
    "infinity": b'{"value": Infinity, "nonce": "x"}',
    "a large number": b'{"value": 1' + b"0" * 5000 + b"}",
    "no JSON": b"\xff\xfe",
    "depth": b"[" * 60_000,
    "a list": b"[1.0]",
}


@pytest.mark.parametrize("frame", FRAMES)
def test_writing_to_every_descriptor_is_no_result(sandbox: SandboxClient, frame: str) -> None:
    lines = (
        "data = item['frame'].encode('latin-1')",
        "data = len(data).to_bytes(4, 'big') + data",
        "for n in range(256):",
        "    try: os.write(n, data)",
        "    except OSError: pass",
        "os._exit(0)",
    )
    reply = attempt(sandbox, *lines, item={"frame": FRAMES[frame].decode("latin-1")})
    assert reply.value is None
    assert reply.error


@pytest.mark.parametrize("junk", [b"\xff" * 8, b"\0", b"\0\0\0\0", b"\0\0\0\x05{}"])
def test_half_a_frame_is_no_result(sandbox: SandboxClient, junk: bytes) -> None:
    lines = ("for n in range(256):", "    try: os.write(n, bytes(item['junk']))", "    except OSError: pass", "os._exit(0)")
    assert attempt(sandbox, *lines, item={"junk": list(junk)}).value is None


def test_one_call_cannot_answer_for_another(sandbox: SandboxClient) -> None:
    body = (
        "if not item['thief']: time.sleep(0.5); return 0.0",
        "for n in range(3, 256):",
        "    try: os.write(n, b'\\0\\0\\0\\x0e{\"value\": 1.0}' * 20)",
        "    except OSError: pass",
        "return 1.0",
    )
    replies = sandbox.run(source(*body), [({}, {"thief": number % 2 == 0}) for number in range(4)])
    assert [reply.value for reply in replies[1::2]] == [0.0, 0.0]


ENDS = [
    "os._exit(0)",
    "sys.exit(0)",
    "os.abort()",
    "os.execv(sys.executable, ['python', '-c', 'print(1.0)'])",
    "os.close(3)",
    "os.closerange(0, 256)",
]


@pytest.mark.parametrize("end", ENDS)
def test_an_end_is_no_result(sandbox: SandboxClient, end: str) -> None:
    assert attempt(sandbox, end, "os._exit(0)").value is None


def test_a_program_cannot_report_for_itself(sandbox: SandboxClient) -> None:
    code = """
import os
frame = b'{"status": 0, "pid": 1, "peak": 1}'
for n in range(3, 256):
    try:
        os.write(n, len(frame).to_bytes(4, "big") + frame)
    except OSError:
        pass
os._exit(7)
"""
    assert sandbox.execute([Program(code)])[0].exit_code == 7
