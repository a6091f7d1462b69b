"""The program that runs a test module. The code under test is elsewhere: its functions are stand-ins.

It stands alone in a sandbox: standard library only, the text of `values.py` in front of it. Standard input holds
`{"tests", "entry_point", "log"}`, where `log` is a list of calls and their results so far. As long as the tests make the calls
of the log they get its results. From the first call that is not there on they get placeholders, so that the calls which follow
become known too; then nothing counts but the list of calls, which someone makes elsewhere and comes back with.

Stand-ins exist for the names that the tests use and do not define themselves: the code under test has no say in it, and cannot
put itself in the place of a helper or a built-in.
"""

from __future__ import annotations

import ast
import builtins
import copy
import json
import os
import symtable
import sys
import types
import unittest
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from graders.code.values import NotPlain, decode, encode

Json = dict[str, Any]
Test = Callable[[], object]

MOST_CALLS = 2000
GUARD = "__discovering__"


class Unknown(BaseException):
    """A placeholder was asked for its value. Not an `Exception`, so that tests do not catch it."""


class CodeError(Exception):
    """The code under test raised something that has no name here."""


class Placeholder:
    """A result that is not known yet. It equals whatever it is compared with, and knows nothing else."""

    def __eq__(self, _other: object) -> bool:
        return True

    def __ne__(self, _other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]  # nobody knows it

    def __getattr__(self, _name: str) -> Any:
        raise Unknown


def _unknown(*_arguments: Any) -> Any:
    raise Unknown


_OPERATIONS = (
    "bool len iter getitem contains call str repr int float index abs neg round lt le gt ge add radd sub rsub mul rmul truediv "
    "rtruediv floordiv rfloordiv mod rmod pow rpow and or xor"
)
for _name in _OPERATIONS.split():
    setattr(Placeholder, f"__{_name}__", _unknown)


class Relay:
    """Answers calls from the log, and notes those that are not in it."""

    def __init__(self, log: list[Json]) -> None:
        self.log = log
        self.calls: list[Json] = []
        self.discovering = False

    def call(self, object_: int | None, name: str, args: Sequence[Any], kwargs: Json) -> Any:
        """One call of the code under test."""
        try:
            call = {
                "object": object_,
                "name": name,
                "args": [argument(value) for value in args],
                "kwargs": {key: argument(value) for key, value in kwargs.items()},
            }
        except NotPlain as error:
            if isinstance(error.__cause__, Unknown):
                raise Unknown from None
            raise TypeError(f"{error} cannot be handed to {name}") from None
        number = len(self.calls)
        if number >= MOST_CALLS:
            raise TypeError(f"more than {MOST_CALLS} calls")
        self.calls.append(call)
        if not self.discovering and number < len(self.log) and self.log[number]["call"] == call:
            return self.result(self.log[number]["result"], name)
        self.discovering = True
        return Placeholder()

    def result(self, result: Json, name: str) -> Any:
        """What a known call gave, raised or made."""
        if "value" in result:
            return decode(result["value"])
        if "object" in result:
            return Remote(self, result["object"])
        raise error_of(name, str(result.get("error")), str(result.get("message", "")))


def error_of(name: str, kind: str, message: str) -> Exception:
    """What a call raised: one of Python's own errors, or `CodeError`."""
    found = getattr(builtins, kind, None)
    if isinstance(found, type) and issubclass(found, Exception):
        try:
            return found(message)
        except TypeError:
            pass  # those of Unicode want more than a message
    return CodeError(f"{name}: {kind}: {message}")


class Remote:
    """An object that lives with the code under test. Its methods can be called; it equals nothing but itself."""

    _relay: Relay
    _number: int

    def __init__(self, relay: Relay, number: int) -> None:
        self.__dict__["_relay"], self.__dict__["_number"] = relay, number

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *args, **kwargs: self._relay.call(self._number, name, args, kwargs)

    def __len__(self) -> Any:
        return self._relay.call(self._number, "__len__", (), {})

    def __getitem__(self, key: Any) -> Any:
        return self._relay.call(self._number, "__getitem__", (key,), {})


def argument(value: Any) -> Any:
    """An argument as it crosses."""
    if isinstance(value, Placeholder):
        raise NotPlain("a placeholder") from Unknown()
    return {"object": value.__dict__["_number"]} if isinstance(value, Remote) else encode(value)


class Guard(ast.NodeTransformer):
    """Lets a test go on behind an assertion whose value is not known yet."""

    def visit_Assert(self, node: ast.Assert) -> ast.AST:
        """`try: assert ... except <nothing, or anything while discovering>: pass`."""
        kinds = ast.Call(ast.Name(GUARD, ast.Load()), [], [])
        guarded = ast.Try([node], [ast.ExceptHandler(kinds, None, [ast.Pass()])], [], [])
        return ast.fix_missing_locations(ast.copy_location(guarded, node))


def main() -> None:
    """Run the tests against the log; print what they came to and which calls they make."""
    job = json.loads(sys.stdin.buffer.read())
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", errors="replace")
    sys.stdout = sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
    relay = Relay(job["log"])
    results = Examination(job, relay).run()
    answers.write(json.dumps({"results": results, "calls": relay.calls, "pending": relay.discovering}))
    answers.flush()


class Examination:
    """One run of the tests: module-level assertions, functions `test_*`, `TestCase` classes, or `check(candidate)`."""

    def __init__(self, job: Json, relay: Relay) -> None:
        self.relay = relay
        self.results: list[tuple[str, str | None]] = []
        sys.modules["solution"] = Solution(relay)
        stand_ins = {name: stand_in(relay, name) for name in undefined(job["tests"])}
        self.namespace: Json = {**stand_ins, "__name__": "tests", GUARD: self.guard}
        self.tree = ast.parse(job["tests"])
        self.entry = stand_in(relay, job["entry_point"]) if job["entry_point"] else None

    def guard(self) -> tuple[type[BaseException], ...]:
        """What assertions may raise without ending their test."""
        return (Exception, Unknown) if self.relay.discovering else ()

    def run(self) -> list[tuple[str, str | None]]:
        """Every test's name, whether it passed, and why not."""
        broken: str | None = None
        for statement in self.tree.body:
            is_test = isinstance(statement, ast.Assert)
            failure = broken or self.attempt(partial(self.execute, statement))
            if is_test:
                self.results.append((f"assert (line {statement.lineno})", failure))
            elif failure is not None and broken is None:
                broken = f"line {statement.lineno}: {failure}"
        for name, test in self.functions():
            self.results.append((name, broken or self.attempt(test)))
        return self.results

    def functions(self) -> Iterator[tuple[str, Test]]:
        """Tests that are functions or methods, in the order of their definition."""
        for statement in self.tree.body:
            name = getattr(statement, "name", "")
            found = self.namespace.get(name)
            if isinstance(statement, ast.FunctionDef) and name == "check" and self.entry is not None:
                yield from self.check(statement)
            elif isinstance(statement, ast.FunctionDef) and name.startswith("test"):
                yield name, self.namespace[name]
            elif isinstance(found, type) and issubclass(found, unittest.TestCase):
                for method in unittest.defaultTestLoader.getTestCaseNames(found):
                    yield f"{name}.{method}", found(method).debug

    def check(self, function: ast.FunctionDef) -> Iterator[tuple[str, Test]]:
        """`check(candidate)`: its top-level assertions are tests, where nothing in it needs to be a function."""
        plain = not any(isinstance(node, ast.Return | ast.Yield | ast.Nonlocal | ast.Global) for node in ast.walk(function))
        if not plain or len(function.args.args) != 1:
            yield "check", lambda: self.namespace["check"](self.entry)
            return
        self.namespace[function.args.args[0].arg] = self.entry
        broken: list[str] = []
        for statement in function.body:
            if isinstance(statement, ast.Assert):
                yield f"check (line {statement.lineno})", partial(self.execute, statement, broken)
            elif failure := self.attempt(partial(self.execute, statement)):
                broken.append(failure)

    def execute(self, statement: ast.stmt, broken: Sequence[str] = ()) -> None:
        """Run a statement in the tests' module, unless what it builds on is broken."""
        if broken:
            raise CodeError(broken[0])
        tree = Guard().visit(ast.Module([copy.deepcopy(statement)], []))
        exec(compile(tree, "tests.py", "exec", dont_inherit=True), self.namespace)  # noqa: S102

    def attempt(self, test: Test) -> str | None:
        """Why a test fails, or None."""
        try:
            test()
        except Unknown:
            return "not known"
        except BaseException as error:  # noqa: BLE001
            return f"{type(error).__name__}: {error}"[:500]
        return None


class Solution(types.ModuleType):
    """The module `solution`, for tests that import the code under test: it has whatever is asked for."""

    _relay: Relay
    __all__ = ()

    def __init__(self, relay: Relay) -> None:
        super().__init__("solution")
        self.__dict__["_relay"] = relay

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("__"):
            raise AttributeError(name)
        return stand_in(self._relay, name)


def undefined(source: str) -> list[str]:
    """Names that a module uses as globals and neither defines nor imports; built-ins are left out."""
    top = symtable.symtable(source, "tests.py", "exec")
    own = {symbol.get_name() for symbol in top.get_symbols() if symbol.is_assigned() or symbol.is_imported()}
    used: set[str] = set()
    tables = [top]
    while tables:
        table = tables.pop()
        tables += table.get_children()
        used |= {symbol.get_name() for symbol in table.get_symbols() if symbol.is_referenced() and symbol.is_global()}
    return sorted(name for name in used - own if not hasattr(builtins, name) and not name.startswith("__"))


def stand_in(relay: Relay, name: str) -> Callable[..., Any]:
    """A function, or a class, of the code under test."""

    def call(*args: Any, **kwargs: Any) -> Any:
        return relay.call(None, name, args, kwargs)

    call.__name__ = call.__qualname__ = name
    return call


if __name__ == "__main__":
    main()
