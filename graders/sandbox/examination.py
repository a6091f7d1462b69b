"""Tries every wall of the sandbox where no `rft doctor` is: in the container of a grader service. Standard library only.

    python -P -m graders.sandbox.examination [--python P] [--minimum LEVEL]

Prints a line an attempt; exit code 1 where one that the level in force promises to stop got through, or there is no sandbox.
"""

from __future__ import annotations

import argparse
import sys

from graders.sandbox.client import SandboxUnavailable
from graders.sandbox.levels import Level
from graders.sandbox.probes import Finding, examine


def main() -> int:
    """Try, and print what came of it; returns the exit code."""
    parser = argparse.ArgumentParser(prog="graders.sandbox.examination")
    parser.add_argument("--python", help="the interpreter of python graders")
    parser.add_argument("--minimum", type=Level, default=Level.PROCESS)
    arguments = parser.parse_args()
    try:
        enforced, findings = examine(arguments.python, minimum=arguments.minimum)
    except SandboxUnavailable as error:
        sys.stdout.write(f"no sandbox: {error.message}\n")
        return 1
    sys.stdout.write(f"level {enforced.level}\n")
    for level, reason in enforced.refused.items():
        sys.stdout.write(f"{level} is not to be had here: {reason}\n")
    for finding in findings:
        sys.stdout.write(f"{_verdict(finding):13} {finding.wall}: {finding.attempt} ({finding.detail})\n")
    return 0 if all(finding.held for finding in findings if finding.promised) else 1


def _verdict(finding: Finding) -> str:
    if finding.held:
        return "stopped"
    return "GOT THROUGH" if finding.promised else "not promised"


if __name__ == "__main__":
    sys.exit(main())
