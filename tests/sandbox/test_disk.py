"""Scratch is limited in bytes and in files, and gone after the call."""

from __future__ import annotations

import pytest

from graders.base import Program
from graders.sandbox.client import SandboxClient
from tests.sandbox.attempts import attempt, loading


@pytest.mark.parametrize("size", ["(1 << 30) + 1", "1 << 40", "1 << 62"])
def test_a_file_has_its_limit_holes_included(sandbox: SandboxClient, size: str) -> None:
    assert "OSError" in str(attempt(sandbox, f"os.truncate(os.open('f', os.O_CREAT | os.O_RDWR), {size})", "return 1").error)


def test_all_files_together_have_a_limit(strict: SandboxClient) -> None:
    lines = ("for n in range(4): os.posix_fallocate(os.open(str(n), os.O_CREAT | os.O_RDWR), 0, 400 << 20)", "return 1")
    assert "No space left" in str(attempt(strict, *lines).error)


@pytest.mark.parametrize("make", ["os.close(os.open(str(n), os.O_CREAT))", "os.mkdir(str(n))", "os.symlink('x', str(n))"])
def test_the_number_of_files_has_a_limit(strict: SandboxClient, make: str) -> None:
    assert "No space left" in str(attempt(strict, f"for n in range(30_000): {make}", "return 1").error)


def test_a_full_disk_is_the_calls_own(strict: SandboxClient) -> None:
    fill = ("for n in range(3): os.posix_fallocate(os.open(str(n), os.O_CREAT | os.O_RDWR), 0, 300 << 20)", "return 1")
    assert [attempt(strict, *fill).value for _ in range(3)] == [1, 1, 1]


def test_deep_trees_and_odd_names_are_cleared(sandbox: SandboxClient) -> None:
    lines = (
        "for _ in range(1000): os.mkdir('d'); os.chdir('d')",
        "open(b'\\xff\\n\\x01', 'w'); open('-rf', 'w'); open('*', 'w'); os.symlink('/', 'root')",
        "return 1",
    )
    assert attempt(sandbox, *lines).value == 1
    assert attempt(sandbox, "return len(os.listdir())").value == 0


def test_programs_get_less(strict: SandboxClient) -> None:
    code = "import os\nos.posix_fallocate(os.open('f', os.O_CREAT | os.O_RDWR), 0, 100 << 20)"
    [result] = strict.execute([Program(code)])
    assert (result.exit_code, "OSError" in result.stderr) == (1, True)


def test_loading_gets_less(strict: SandboxClient) -> None:
    head = "os.posix_fallocate(os.open('f', os.O_CREAT | os.O_RDWR), 0, 100 << 20)"
    assert "No space left" in str(loading(strict, head).error)
