"""What is printed goes nowhere from a grader, and is cut from a program."""

from __future__ import annotations

import pytest

from graders.base import Program
from graders.sandbox.client import SandboxClient
from tests.sandbox.attempts import attempt


def test_a_grader_may_print_what_it_likes(sandbox: SandboxClient) -> None:
    assert attempt(sandbox, "for _ in range(2000): os.write(1, b'x' * 100_000)", "return 1.0").value == 1.0


def test_an_error_is_cut(sandbox: SandboxClient) -> None:
    assert len(str(attempt(sandbox, "raise ValueError('x' * 1_000_000)").error)) == 2000


def test_a_program_is_read_up_to_its_limit(sandbox: SandboxClient) -> None:
    [result] = sandbox.execute([Program("import sys\nprint('o' * 5000)\nprint('e' * 5000, file=sys.stderr)", output_bytes=100)])
    assert (result.stdout, result.stderr, result.exit_code) == ("o" * 100, "e" * 100, 0)


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_flood_ends(sandbox: SandboxClient, stream: str) -> None:
    code = f"import sys\nwhile True: sys.{stream}.write('x' * 100_000)"
    [result] = sandbox.execute([Program(code, seconds=30, output_bytes=100)])
    assert (result.timed_out, len(result.stdout + result.stderr) <= 200) == (False, True)


def test_bytes_that_are_no_text_come_through(sandbox: SandboxClient) -> None:
    [result] = sandbox.execute([Program("import sys\nsys.stdout.buffer.write(b'a\\xff\\0b')")])
    assert result.stdout == "a�\0b"


def test_other_descriptors_lead_nowhere(sandbox: SandboxClient) -> None:
    code = "import os\nfor n in range(3, 256):\n    try: os.write(n, b'x')\n    except OSError: continue\n    print(n)"
    [result] = sandbox.execute([Program(code)])
    assert result.stdout == ""
