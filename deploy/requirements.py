"""The requirements of an image, from pyproject.toml: those of the service and of the named extras.

    python deploy/requirements.py [EXTRA ...] [--only]

`--only` leaves the service's own out.
"""

from __future__ import annotations

import argparse
import sys
import tomllib
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent / "pyproject.toml"


def requirements(extras: list[str], *, only: bool) -> list[str]:
    """Requirement lines. Raises `KeyError` for an extra that there is not."""
    project = tomllib.loads(PROJECT.read_text())["project"]
    own = [] if only else project["dependencies"]
    return [*own, *(line for extra in extras for line in project["optional-dependencies"][extra])]


def main() -> None:
    """Print them."""
    parser = argparse.ArgumentParser(prog="deploy/requirements.py")
    parser.add_argument("extras", nargs="*", metavar="EXTRA")
    parser.add_argument("--only", action="store_true")
    arguments = parser.parse_args()
    sys.stdout.write("".join(f"{line}\n" for line in requirements(arguments.extras, only=arguments.only)))


if __name__ == "__main__":
    main()
