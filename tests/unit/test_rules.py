"""Rules of the code that no linter knows. Each test names the places that break one."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("api", "cli", "core", "graders", "migrations", "worker")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))

MAX_LINES = 300
UNSAFE_FORMATS = {"pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
READS_OF_ENVIRONMENT = {"os.getenv", "os.environ.get", "os.environ.pop", "os.environ.copy"}


@cache
def nodes() -> list[tuple[str, ast.AST]]:
    """Every syntax node with the place it stands at."""
    found = []
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            found.append((f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}", node))
    return found


def imported(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_nothing_is_unpickled() -> None:
    imports = [place for place, node in nodes() if any(name.split(".")[0] in UNSAFE_FORMATS for name in imported(node))]
    calls = [
        place for place, node in nodes() if isinstance(node, ast.Attribute) and ast.unparse(node) in {"torch.load", "torch.save"}
    ]
    assert imports + calls == []


def test_no_code_of_a_model_repository_is_run() -> None:
    keywords = [(place, node) for place, node in nodes() if isinstance(node, ast.keyword) and node.arg == "trust_remote_code"]
    assert [place for place, node in keywords if ast.unparse(node.value) != "False"] == []


def test_no_text_is_evaluated() -> None:
    assert [
        place for place, node in nodes() if isinstance(node, ast.Call) and ast.unparse(node.func) in {"eval", "builtins.eval"}
    ] == []


def test_only_settings_read_variables_of_the_environment() -> None:
    attributes = [(place, node) for place, node in nodes() if isinstance(node, ast.Attribute)]
    calls = [place for place, node in attributes if ast.unparse(node) in READS_OF_ENVIRONMENT]
    subscripts = [(place, node) for place, node in nodes() if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load)]
    lookups = [place for place, node in subscripts if ast.unparse(node.value) == "os.environ"]
    assert [place for place in calls + lookups if not place.startswith("core/settings.py:")] == []


def test_modules_are_small() -> None:
    lines = {path.relative_to(ROOT).as_posix(): len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}
    assert {name: count for name, count in lines.items() if count > MAX_LINES} == {}
