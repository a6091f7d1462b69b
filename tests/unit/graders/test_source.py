from __future__ import annotations

import pytest

from graders.source import MAX_BYTES, SourceError, check_source


@pytest.mark.parametrize(
    "source",
    [
        "def grade(sample, item): return 1",
        "def grade(sample: dict[str, object], item: dict) -> float:\n    return 1.0",
        "def grade(output, row, /): return 1",
        "def grade(sample, item, **options): return 1",
        "def grade(sample, item, *, strict=True): return 1",
        "grade = lambda sample, item: 1",
        "grade: object = lambda sample, item: 1",
        "def score(sample, item): return 1\ngrade = score",
        "from functools import reduce as grade",
        "import functools\n@functools.cache\ndef grade(sample, item): return 1",
        "if True:\n    def grade(sample, item): return 1\nelse:\n    def other(): ...",
        "try:\n    import missing\nexcept ImportError:\n    def grade(sample, item): return 1",
        "def grade(): ...\ndef grade(sample, item): return 1",
        "print('hello')\ndef grade(sample, item): return 1\nif __name__ == '__main__':\n    print(grade({}, {}))",
        "# " + "x" * 200_000 + "\ndef grade(sample, item): return 1",
    ],
)
def test_accepts(source: str) -> None:
    check_source(source)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("", "must define a function grade"),
        ("def score(sample, item): return 1", "must define a function grade"),
        ("class A:\n    def grade(self, item): return 1", "must define a function grade"),
        ("def outer():\n    def grade(sample, item): return 1", "must define a function grade"),
        ("def grade(): return 1", "exactly two arguments"),
        ("def grade(sample): return 1", "exactly two arguments"),
        ("def grade(sample, item, extra): return 1", "exactly two arguments"),
        ("def grade(sample, item, extra=1): return 1", "exactly two arguments"),
        ("def grade(*both): return 1", "exactly two arguments"),
        ("def grade(sample, item, *, needed): return 1", "exactly two arguments"),
        ("grade = lambda sample: 1", "exactly two arguments"),
        ("def grade(sample, item): return 1\ndef grade(): return 2", "exactly two arguments"),
        ("async def grade(sample, item): return 1", "not async"),
        ("class grade:\n    pass", "not a class"),
        ("grade = 1", "must be a function"),
        ("def grade(sample, item) return 1", r"not valid Python: .* \(line 1\)"),
        ("x = 1\n def grade(sample, item): return 1", r"not valid Python: .* \(line 2\)"),
        ("def grade(sample, item): return '\0'", "not valid Python"),
        ("def grade(sample, item): return '\ud800'", "not valid Python"),
        ("x = " + "-" * 100_000 + "1\ndef grade(sample, item): return 1", "nested too deeply|not valid Python"),
        ("#" + "x" * MAX_BYTES, "larger than 256 kB"),
        ("#" + "ü" * (MAX_BYTES // 2), "larger than 256 kB"),
    ],
)
def test_refuses(source: str, reason: str) -> None:
    with pytest.raises(SourceError, match=reason):
        check_source(source)
