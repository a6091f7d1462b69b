"""Whether a grader service answers, and at which level its calls run. Standard library only.

    python -m graders.sandbox.health SOCKET

Prints the level; exit code 1 and the reason where nothing can be run.
"""

from __future__ import annotations

import socket
import sys

from graders.sandbox import frames

_SECONDS = 8.0


def main() -> None:
    """Ask."""
    try:
        answer = _ask(sys.argv[1])
    except (OSError, frames.BrokenFrame) as error:
        sys.exit(f"the grader service does not answer: {error}")
    if "unavailable" in answer:
        sys.exit(answer["unavailable"])
    sys.stdout.write(f"{answer['level']}\n")


def _ask(path: str) -> dict[str, str]:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_SECONDS)
        connection.connect(path)
        frames.send(connection, {"level": True})
        while "alive" in (answer := frames.receive(connection)):
            pass
    return dict(answer)


if __name__ == "__main__":
    main()
