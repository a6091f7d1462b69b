"""The program inside a completion."""

from __future__ import annotations

import re

_OPENING = re.compile(r"^[ \t]*(?P<fence>`{3,}|~{3,})[ \t]*(?P<language>[\w+-]*)[^\n]*$", re.MULTILINE)
_PYTHON = ("python", "python3", "py", "")
_THINKING = "</think>"


def extract(completion: str) -> str:
    """The last fenced block of Python; where no block says so the last one without a language; else the whole text.

    What stands before the end of a thinking section is left out. A block that is never closed reaches to the end.
    """
    text = completion.rpartition(_THINKING)[2]
    blocks = _blocks(text)
    for languages in (_PYTHON[:-1], _PYTHON[-1:]):
        chosen = [code for language, code in blocks if language in languages]
        if chosen:
            return chosen[-1]
    return "" if blocks else text


def _blocks(text: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    fence, language, lines = "", "", list[str]()
    for line in text.split("\n"):
        if fence:
            if line.strip().startswith(fence) and not line.strip().strip(fence[0]):
                found.append((language, "\n".join(lines)))
                fence = ""
            else:
                lines.append(line)
        elif (opening := _OPENING.match(line)) is not None:
            fence, language, lines = opening["fence"], opening["language"].lower(), []
    if fence:
        found.append((language, "\n".join(lines)))
    return found
