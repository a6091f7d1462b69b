"""How times are written in headers."""

from __future__ import annotations

import pytest

from api.middleware import duration

TIMES = [(0.0, "0ms"), (0.0115, "12ms"), (0.9, "900ms"), (1.0, "1s"), (59.2, "1m0s"), (60.0, "1m0s"), (360.0, "6m0s")]


@pytest.mark.parametrize(("seconds", "text"), TIMES)
def test_durations_are_written_as_openai_writes_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text
