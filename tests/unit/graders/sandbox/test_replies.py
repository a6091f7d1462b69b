from __future__ import annotations

from typing import Any

import pytest

from graders.sandbox.replies import Exit, checked_value, exit_of, program_result


@pytest.mark.parametrize("value", [0.5, 3, True, float("inf")])
def test_a_number_with_the_nonce_is_a_value(value: Any) -> None:
    assert checked_value({"value": value, "nonce": "n"}, "n") == {"value": value}


@pytest.mark.parametrize(
    "reply",
    [
        {"value": 1.0},
        {"value": 1.0, "nonce": "other"},
        {"value": 1.0, "nonce": None},
        {"value": "1.0", "nonce": "n"},
        {"value": None, "nonce": "n"},
        {"value": [1.0], "nonce": "n"},
        {"nonce": "n"},
        [],
        "1.0",
        1.0,
        None,
        {"error": 5},
    ],
)
def test_everything_else_is_no_value(reply: Any) -> None:
    assert checked_value(reply, "n") == {"error": "the grader's process sent no valid result"}


def test_an_error_is_cut() -> None:
    assert checked_value({"error": "a" + "b" * 2000}, "n") == {"error": "b" * 2000}


def test_an_end_is_told_apart() -> None:
    assert exit_of({"status": -9, "pid": 4, "peak": 5}) == Exit(-9, 4, 5)
    assert exit_of({"status": 0}) is None


@pytest.mark.parametrize(
    ("end", "stderr", "killed", "expected"),
    [
        (Exit(0, 1, 7), "", False, (0, False, False)),
        (Exit(1, 1, 7), "Traceback\nMemoryError\n", False, (1, False, True)),
        (Exit(1, 1, 7), "MemoryError\nValueError: x\n", False, (1, False, False)),
        (Exit(-9, 1, 7), "", True, (None, False, True)),
        (Exit(-11, 1, 7), "", False, (None, False, False)),
        (None, "", False, (None, True, False)),
    ],
)
def test_how_a_program_ended(end: Exit | None, stderr: str, killed: bool, expected: tuple[Any, ...]) -> None:
    result = program_result(end, ["out", stderr], 0.5, out_of_memory=killed)
    assert (result["exit_code"], result["timed_out"], result["out_of_memory"]) == expected
    assert (result["stdout"], result["seconds"]) == ("out", 0.5)
