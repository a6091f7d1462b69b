"""The same way through the service with the last release of each major version of the SDK, and with the `openai` package of npm.

Each has an environment of its own below `build/compat/`, kept between runs.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.compat.world import KEY, World, opened

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(900)]

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENTS = ROOT / "build" / "compat"
CLIENTS = Path(__file__).parent / "clients"
NPM_PACKAGE = "openai@7"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world without the jobs that other tests of the suite wait for."""
    with opened(tmp_path_factory.mktemp("clients")) as world:
        yield world


def executed(*command: str | Path, cwd: Path, **variables: str) -> str:
    """What a command printed; fails with its errors."""
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env={**os.environ, **variables}, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{command}: {done.stdout[-2000:]}{done.stderr[-4000:]}"
    return done.stdout


def flow(world: World, *command: str | Path, cwd: Path) -> dict[str, Any]:
    """The way through the service; its last line."""
    variables = {"OPENAI_BASE_URL": world.base_url, "OPENAI_API_KEY": KEY}
    printed = executed(*command, world.workplace.directory, cwd=cwd, **variables)
    found: dict[str, Any] = json.loads(printed.splitlines()[-1])
    return found


@pytest.mark.parametrize("major", [1, 2, 3])
def test_a_major_version_of_the_sdk(world: World, tmp_path: Path, major: int) -> None:
    python = ENVIRONMENTS / f"openai-{major}" / "bin" / "python"
    if not python.exists():
        executed(sys.executable, "-m", "venv", python.parents[1], cwd=tmp_path)
    executed(python, "-m", "pip", "install", "--quiet", "--upgrade", f"openai=={major}.*", cwd=tmp_path)
    done = flow(world, python, CLIENTS / "core_flow.py", cwd=tmp_path)
    assert done["version"].split(".")[0] == str(major)
    assert done["model"].startswith("ft:tiny:local:flow:")


def test_the_package_of_npm(world: World) -> None:
    node = installed("node", "nodejs")
    directory = ENVIRONMENTS / "node"
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "package.json").write_text('{"name": "compat", "private": true}\n')
    executed(installed("npm", "npm"), "install", "--no-audit", "--no-fund", NPM_PACKAGE, cwd=directory)
    done = flow(world, node, CLIENTS / "core_flow.mjs", cwd=directory)
    assert done["version"].split(".")[0] == NPM_PACKAGE.split("@")[1]
    assert done["model"].startswith("ft:tiny:local:node:")


def installed(program: str, package: str) -> Path:
    """A program, from Debian's package where it is missing. Fails where it cannot be had: nothing is skipped."""
    if not (found := shutil.which(program)):
        executed("apt-get", "install", "--yes", "--no-install-recommends", package, cwd=ROOT, DEBIAN_FRONTEND="noninteractive")
        found = shutil.which(program)
    assert found, f"{program} is missing: install Debian's package {package}"
    return Path(found)
