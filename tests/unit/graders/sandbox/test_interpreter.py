from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from graders.sandbox.interpreter import NoInterpreter, inspect

ROOT = Path(__file__).resolve().parents[4]


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """An environment whose packages lead to a working directory, as an editable install does."""
    place = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", place], check=True)
    [packages] = place.glob("lib/python*/site-packages")
    (tmp_path / "project").mkdir()
    (packages / "project.pth").write_text(str(tmp_path / "project"))
    return place


def test_it_sees_its_packages_and_the_standard_library(environment: Path) -> None:
    found = inspect(str(environment / "bin" / "python"))
    assert found.executable == str(environment / "bin" / "python")
    assert str(environment / "lib") in found.paths
    assert any(Path(path) in Path(subprocess.__file__).parents for path in found.paths)


def test_working_directories_are_not_shown(environment: Path) -> None:
    found = inspect(str(environment / "bin" / "python")).paths
    assert str(environment.parent / "project") not in found
    assert not {str(path) for path in (ROOT, environment, Path("/"), Path("/usr"), Path("/etc"), Path.home())} & set(found)


def test_no_path_lies_in_another(environment: Path) -> None:
    found = [Path(path) for path in inspect(str(environment / "bin" / "python")).paths]
    assert [path for path in found if set(path.parents) & set(found)] == []


@pytest.mark.parametrize("python", ["/no/such/python", "/bin/false", "/dev/null", "/bin/echo"])
def test_what_is_no_interpreter_is_refused(python: str) -> None:
    with pytest.raises(NoInterpreter, match="does not start"):
        inspect(python)
