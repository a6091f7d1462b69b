"""The images, as far as that can be said without building them."""

from __future__ import annotations

import fnmatch
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.unit.deploy import dockerfile
from tests.unit.deploy.conftest import ROOT, script

STAGES = dockerfile.read(ROOT / "Dockerfile")
FINAL = ("api", "worker", "sampler", "grader")


@pytest.mark.parametrize("name", STAGES)
def test_every_stage_is_built_on_one_before_it_or_on_the_interpreters_image(name: str) -> None:
    before = list(STAGES)[: list(STAGES).index(name)]
    assert STAGES[name].parent in (*before, "${PYTHON_IMAGE}")


@pytest.mark.parametrize("name", STAGES)
def test_everything_copied_is_there(name: str) -> None:
    for copied in STAGES[name].all("COPY"):
        origin, paths = dockerfile.sources(copied)
        if origin is None:
            assert [path for path in paths if not (ROOT / path).exists()] == []
        else:
            assert origin in list(STAGES)[: list(STAGES).index(name)]


@pytest.mark.parametrize("name", STAGES)
def test_everything_copied_is_sent_to_the_builder(name: str) -> None:
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert lines[0] == "*"
    allowed = [line.removeprefix("!") for line in lines if line.startswith("!")]
    for copied in STAGES[name].all("COPY"):
        origin, paths = dockerfile.sources(copied)
        for path in [] if origin else paths:
            assert any(path == root or path.startswith(f"{root}/") for root in allowed)


def test_nothing_secret_is_sent_to_the_builder() -> None:
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    for path in (".env", "deploy/secrets/api.env", ".git/config", "rft-data/secrets.key"):
        assert not any(path == root or path.startswith(f"{root}/") or fnmatch.fnmatch(path, root) for root in allowed)


@pytest.mark.parametrize("name", FINAL)
def test_final_images_run_as_a_user_without_rights(name: str) -> None:
    users = [user for stage in dockerfile.lineage(STAGES, name) for user in stage.all("USER")]
    assert users
    assert set(users) == {"touchstone"}


@pytest.mark.parametrize("name", FINAL)
def test_final_images_have_a_health_check_and_a_command(name: str) -> None:
    assert STAGES[name].all("HEALTHCHECK")
    assert json.loads(STAGES[name].all("CMD")[-1])


@pytest.mark.parametrize("name", FINAL)
def test_final_images_are_built_on_no_stage_with_build_tools(name: str) -> None:
    lineage = dockerfile.lineage(STAGES, name)
    assert not [stage.name for stage in lineage if stage.name.endswith("-build")]
    assert not [run for stage in lineage for run in stage.all("RUN") if re.search(r"\b(pip|apt|apt-get|gcc|make)\b", run)]


def test_every_installation_is_held_to_the_lock() -> None:
    runs = [run for stage in STAGES.values() for run in stage.all("RUN")]
    installs = [part for run in runs for part in run.split("&&") if "venv/bin/pip install" in part]
    assert installs
    for install in installs:
        assert "--constraint requirements.lock" in install or "--no-deps" in install


def closure(lines: list[str]) -> set[str]:
    """Every package that these requirements bring along, as installed here."""
    found: set[tuple[str, frozenset[str]]] = set()
    todo = [Requirement(line) for line in lines]
    while todo:
        requirement = todo.pop()
        key = (requirement.name.lower().replace("_", "-"), frozenset(requirement.extras))
        if key in found:
            continue
        found.add(key)
        try:
            needed = [Requirement(line) for line in requires(requirement.name) or []]
        except PackageNotFoundError:
            continue
        extras = requirement.extras or {""}
        todo += [need for need in needed if need.marker is None or any(need.marker.evaluate({"extra": e}) for e in extras)]
    return {name for name, _ in found}


def requirements_of(stage: str) -> list[str]:
    """What the stages behind an image's environment install."""
    module = script("requirements")
    lines: list[str] = []
    for run in [run for part in dockerfile.lineage(STAGES, stage) for run in part.all("RUN")]:
        for words in re.findall(r"deploy/requirements\.py ([^>]*)>", run):
            asked = words.split()
            lines += module.requirements([word for word in asked if not word.startswith("--")], only="--only" in asked)
    return lines


def test_the_api_image_has_no_torch() -> None:
    names = closure(requirements_of("api-build"))
    assert {"fastapi", "celery", "psycopg"} <= names
    assert not names & {"torch", "transformers", "accelerate", "safetensors", "triton"}
    [copied] = [paths for origin, paths in map(dockerfile.sources, STAGES["api"].all("COPY")) if origin]
    assert copied == ["/opt/venv"]


def test_the_workers_image_has_torch() -> None:
    assert {"torch", "transformers", "fastapi"} <= closure(requirements_of("worker-build"))


def test_every_requirement_has_a_version_in_the_lock() -> None:
    locked = {line.split("==")[0].lower().replace("_", "-") for line in (ROOT / "requirements.lock").read_text().splitlines()}
    here = {name for name in closure(requirements_of("worker-build")) if name != "uvloop"}
    installed = set()
    for name in here:
        try:
            requires(name)
        except PackageNotFoundError:
            continue
        installed.add(name)
    assert installed - locked == set()


@pytest.fixture(scope="module")
def grader_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the grader image holds of the service, alone, as the environment of an interpreter that sees no packages."""
    root = tmp_path_factory.mktemp("grader")
    for copied in STAGES["grader"].all("COPY"):
        origin, paths = dockerfile.sources(copied)
        for path in [] if origin else paths:
            target = root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            (shutil.copytree if (ROOT / path).is_dir() else shutil.copy)(ROOT / path, target)
    return {"PYTHONPATH": str(root), "PATH": os.environ["PATH"]}


def test_the_grader_image_holds_all_that_the_service_needs(grader_files: dict[str, str]) -> None:
    command = json.loads(STAGES["grader"].all("CMD")[-1])
    health = json.loads(STAGES["grader"].all("HEALTHCHECK")[-1].partition("CMD ")[2])
    with tempfile.TemporaryDirectory() as short:
        socket = Path(short) / "s"
        ours = {"/run/grader/socket": str(socket), "/opt/grader/bin/python": sys.executable}

        def here(words: list[str]) -> list[str]:
            return [sys.executable, "-S", *(ours.get(word, word) for word in words[1:])]

        with subprocess.Popen(here(command), env=grader_files, stdin=subprocess.DEVNULL) as service:
            while not socket.exists():
                assert service.poll() is None
                time.sleep(0.05)
            asked = subprocess.run(here(health), env=grader_files, capture_output=True, text=True, timeout=120)
            service.terminate()
    assert (asked.returncode, asked.stdout.strip()) == (0, "strict")


def test_the_grader_image_can_try_its_own_walls(grader_files: dict[str, str]) -> None:
    command = [sys.executable, "-S", "-P", "-m", "graders.sandbox.examination"]
    tried = subprocess.run(command, env=grader_files, capture_output=True, text=True, timeout=240)
    assert (tried.returncode, tried.stderr) == (0, "")
    assert tried.stdout.startswith("level strict\n")
    assert "GOT THROUGH" not in tried.stdout
    assert len(tried.stdout.splitlines()) > 20


def test_the_grader_image_holds_nothing_else_of_the_service() -> None:
    taken = [path for copied in STAGES["grader"].all("COPY") for path in dockerfile.sources(copied)[1]]
    core = {"core/__init__.py", "core/errors.py", "core/processes.py"}
    assert set(taken) == {"/opt/grader", "graders/__init__.py", "graders/base.py", "graders/sandbox", *core}
