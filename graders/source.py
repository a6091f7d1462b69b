"""Checks of a python grader's source that need no execution."""

from __future__ import annotations

import ast
from collections.abc import Iterator

MAX_BYTES = 256 * 1024
ENTRY = "grade"


class SourceError(ValueError):
    """The source cannot be a grader; the message says why."""


def check_source(source: str) -> None:
    """Raises `SourceError` unless the source parses, is at most 256 kB and binds `grade` to a function of two arguments.

    Where `grade` is imported or assigned from another name its arguments are not known here: such a grader is accepted.
    """
    if len(source.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise SourceError("the source is larger than 256 kB")
    bindings = [binding for statement in _module_level(_parse(source).body) for binding in _bindings(statement)]
    if not bindings:
        raise SourceError("the source must define a function grade(sample, item)")
    _check_binding(bindings[-1])


def _parse(source: str) -> ast.Module:
    try:
        return ast.parse(source)
    except SyntaxError as error:
        raise SourceError(f"the source is not valid Python: {error.msg} (line {error.lineno})") from None
    except ValueError as error:
        raise SourceError(f"the source is not valid Python: {error}") from None
    except (RecursionError, MemoryError):
        raise SourceError("the source is nested too deeply") from None


def _module_level(statements: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements that run in the module's own namespace, those inside `if`, `try`, `with` and loops included."""
    for statement in statements:
        yield statement
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        for block in ("body", "handlers", "orelse", "finalbody", "cases"):
            for inner in getattr(statement, block, []):
                yield from _module_level([inner] if isinstance(inner, ast.stmt) else inner.body)


def _bindings(statement: ast.stmt) -> Iterator[ast.AST]:
    """What the statement binds to the name `grade`: a function, a class, an expression or an import."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        if statement.name == ENTRY:
            yield statement
    elif isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        if any(isinstance(target, ast.Name) and target.id == ENTRY for target in targets):
            yield statement.value
    elif isinstance(statement, ast.Import | ast.ImportFrom):
        yield from (alias for alias in statement.names if (alias.asname or alias.name) == ENTRY)


def _check_binding(binding: ast.AST) -> None:
    if isinstance(binding, ast.AsyncFunctionDef):
        raise SourceError("grade must be a plain function, not async")
    if isinstance(binding, ast.ClassDef):
        raise SourceError("grade must be a function, not a class")
    if isinstance(binding, ast.FunctionDef | ast.Lambda):
        arguments = binding.args
        required_keywords = [default for default in arguments.kw_defaults if default is None]
        if len(arguments.posonlyargs) + len(arguments.args) != 2 or required_keywords:
            raise SourceError("grade must take exactly two arguments: grade(sample, item)")
    elif isinstance(binding, ast.Constant):
        raise SourceError("grade must be a function")
