"""The formula of a multi grader: `+ - * / ^`, parentheses, numbers, variables and eight functions. No `eval`.

sum     := product (("+" | "-") product)*
product := unary (("*" | "/") unary)*
unary   := "-" unary | power
power   := atom ("^" unary)?                 (right-associative; -2^2 is -4)
atom    := number | name | name "(" sum ("," sum)* ")" | "(" sum ")"
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from operator import itemgetter

MAX_LENGTH = 4096
MAX_DEPTH = 64

_NUMBER = r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_NAME = r"[A-Za-z_]\w*"
_TOKEN = re.compile(rf"\s*(?:(?P<number>{_NUMBER})|(?P<name>{_NAME})|(?P<sign>[-+*/^(),]))", re.ASCII)
_SUMS: dict[str, Callable[[float, float], float]] = {"+": operator.add, "-": operator.sub}
_PRODUCTS: dict[str, Callable[[float, float], float]] = {"*": operator.mul, "/": operator.truediv}
_VARIADIC: dict[str, Callable[..., float]] = {"min": min, "max": max}
_UNARY: dict[str, Callable[..., float]] = {
    "abs": abs,
    "floor": math.floor,
    "ceil": math.ceil,
    "exp": math.exp,
    "sqrt": math.sqrt,
    "log": math.log,
}
FUNCTIONS = frozenset(_VARIADIC | _UNARY)


class FormulaSyntaxError(ValueError):
    """The text is not a formula."""


class FormulaValueError(ArithmeticError):
    """The formula has no finite value for these numbers."""


def is_variable_name(name: str) -> bool:
    """Whether a formula can speak of a member called `name`."""
    return re.fullmatch(_NAME, name, re.ASCII) is not None


@dataclass(frozen=True)
class _Number:
    value: float


@dataclass(frozen=True)
class _Variable:
    name: str


@dataclass(frozen=True)
class _Apply:
    function: Callable[..., float]
    arguments: tuple[_Node, ...]


@dataclass(frozen=True)
class _Chain:
    """Operators of one rank, applied from left to right: flat, so that a long sum is no deep tree."""

    first: _Node
    rest: tuple[tuple[Callable[[float, float], float], _Node], ...]


_Node = _Number | _Variable | _Apply | _Chain


@dataclass(frozen=True)
class Formula:
    """A parsed formula."""

    root: _Node
    variables: frozenset[str]
    _evaluate: Evaluate = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_evaluate", _compiled(self.root))

    @classmethod
    def parse(cls, text: str) -> Formula:
        """Read a formula. Raises `FormulaSyntaxError`."""
        if len(text) > MAX_LENGTH:
            raise FormulaSyntaxError(f"it is longer than {MAX_LENGTH} characters")
        parser = _Parser(_tokens(text))
        return cls(parser.whole(), frozenset(parser.variables))

    def evaluate(self, values: Mapping[str, float]) -> float:
        """The formula's finite value; `values` must hold every variable. Raises `FormulaValueError`."""
        try:
            return self._evaluate(values)
        except ZeroDivisionError:
            raise FormulaValueError("division by zero") from None
        except OverflowError:
            raise FormulaValueError("a number grows too large") from None
        except ValueError:
            raise FormulaValueError("a function or a power is not defined at its argument") from None


Evaluate = Callable[[Mapping[str, float]], float]


def _compiled(node: _Node) -> Evaluate:
    """The node as a function of the variables' values: made once a formula, called once a sample."""
    if isinstance(node, _Number):
        return lambda _: node.value
    if isinstance(node, _Variable):
        return itemgetter(node.name)
    if isinstance(node, _Chain):
        return partial(_chain, _compiled(node.first), [(function, _compiled(operand)) for function, operand in node.rest])
    return partial(_apply, node.function, [_compiled(argument) for argument in node.arguments])


def _chain(
    first: Evaluate, rest: Sequence[tuple[Callable[[float, float], float], Evaluate]], values: Mapping[str, float]
) -> float:
    result = first(values)
    for function, operand in rest:
        result = _finite(function(result, operand(values)))
    return result


def _apply(function: Callable[..., float], arguments: Sequence[Evaluate], values: Mapping[str, float]) -> float:
    return _finite(function(*[argument(values) for argument in arguments]))


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise OverflowError
    return float(value)


def _tokens(text: str) -> list[tuple[str, str]]:
    tokens, position, text = [], 0, text.rstrip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None or match.lastgroup is None:
            raise FormulaSyntaxError(f"unexpected character {text[position:].lstrip()[0]!r}")
        tokens.append((match.lastgroup, match[match.lastgroup]))
        position = match.end()
    return tokens


class _Parser:
    """Recursive descent over the tokens, one method a rule of the grammar."""

    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self._tokens = tokens
        self._position = 0
        self._depth = 0
        self.variables: set[str] = set()

    def whole(self) -> _Node:
        node = self._sum()
        if self._position < len(self._tokens):
            raise FormulaSyntaxError(f"unexpected '{self._tokens[self._position][1]}'")
        return node

    def _sum(self) -> _Node:
        return self._chain(self._product, _SUMS)

    def _product(self) -> _Node:
        return self._chain(self._unary, _PRODUCTS)

    def _chain(self, operand: Callable[[], _Node], operators: dict[str, Callable[[float, float], float]]) -> _Node:
        first, rest = operand(), []
        while (sign := self._take_sign(*operators)) is not None:
            rest.append((operators[sign], operand()))
        return _Chain(first, tuple(rest)) if rest else first

    def _unary(self) -> _Node:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise FormulaSyntaxError(f"it is nested deeper than {MAX_DEPTH} levels")
        node = _Apply(operator.neg, (self._unary(),)) if self._take_sign("-") else self._power()
        self._depth -= 1
        return node

    def _power(self) -> _Node:
        base = self._atom()
        return _Apply(math.pow, (base, self._unary())) if self._take_sign("^") else base

    def _atom(self) -> _Node:
        kind, text = self._next()
        if kind == "number":
            return _number(text)
        if kind == "name":
            return self._call(text) if self._take_sign("(") else self._named(text)
        if text == "(":
            node = self._sum()
            self._expect(")")
            return node
        raise FormulaSyntaxError(f"unexpected '{text}'")

    def _named(self, name: str) -> _Node:
        self.variables.add(name)
        return _Variable(name)

    def _call(self, name: str) -> _Node:
        if name not in FUNCTIONS:
            raise FormulaSyntaxError(f"unknown function '{name}'; known are {', '.join(sorted(FUNCTIONS))}")
        arguments = [self._sum()]
        while self._take_sign(","):
            arguments.append(self._sum())
        self._expect(")")
        if name in _VARIADIC and len(arguments) > 1:
            return _Apply(_VARIADIC[name], tuple(arguments))
        if len(arguments) > 1:
            raise FormulaSyntaxError(f"the function '{name}' takes one argument, not {len(arguments)}")
        return arguments[0] if name in _VARIADIC else _Apply(_UNARY[name], tuple(arguments))

    def _next(self) -> tuple[str, str]:
        if self._position == len(self._tokens):
            raise FormulaSyntaxError("it ends too early")
        self._position += 1
        return self._tokens[self._position - 1]

    def _take_sign(self, *signs: str) -> str | None:
        if self._position < len(self._tokens) and self._tokens[self._position] in [("sign", sign) for sign in signs]:
            return self._next()[1]
        return None

    def _expect(self, sign: str) -> None:
        if self._take_sign(sign) is None:
            raise FormulaSyntaxError(f"'{sign}' is missing")


def _number(text: str) -> _Node:
    value = float(text)
    if not math.isfinite(value):
        raise FormulaSyntaxError(f"the number {text} is too large")
    return _Number(value)
