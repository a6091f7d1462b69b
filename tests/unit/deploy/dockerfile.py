"""A reader of the parts of a Dockerfile that the tests ask about."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Stage:
    name: str
    parent: str
    """A stage, or an image."""
    instructions: list[tuple[str, str]] = field(default_factory=list)
    """Each with what follows its name."""

    def all(self, name: str) -> list[str]:
        return [rest for instruction, rest in self.instructions if instruction == name]


def read(path: Path) -> dict[str, Stage]:
    """The stages by name, in order."""
    stages: dict[str, Stage] = {}
    stage = None
    lines = [line for line in path.read_text().splitlines() if line.strip() and not line.lstrip().startswith("#")]
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        name, _, rest = line.strip().partition(" ")
        if name == "FROM":
            parent, _, alias = rest.split()
            stage = stages[alias] = Stage(alias, parent)
            assert " AS " in rest
            stage.name = rest.split(" AS ")[1]
            stages[stage.name] = stages.pop(alias)
        elif stage is not None:
            stage.instructions.append((name, rest.strip()))
    return stages


def lineage(stages: dict[str, Stage], name: str) -> list[Stage]:
    """A stage and those that it is built on, the nearest first."""
    found = []
    while name in stages:
        found.append(stages[name])
        name = stages[name].parent
    return found


def sources(copied: str) -> tuple[str | None, list[str]]:
    """What a COPY takes: the stage it takes from, if it does, and the paths."""
    words = shlex.split(copied)
    origin = next((word.removeprefix("--from=") for word in words if word.startswith("--from=")), None)
    return origin, [word for word in words if not word.startswith("--")][:-1]
