from __future__ import annotations

import contextlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graders.formula import MAX_DEPTH, MAX_LENGTH, Formula, FormulaSyntaxError, FormulaValueError, is_variable_name

VALUES = {"a": 2.0, "b": 3.0, "precision": 0.5, "recall": 0.25, "zero": 0.0, "min": 7.0}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1.0),
        (".5 + 5.", 5.5),
        ("1e-9", 1e-9),
        ("2E+3", 2000.0),
        ("a", 2.0),
        (" a\n+\tb ", 5.0),
        ("a - b - 1", -2.0),
        ("a + b * a", 8.0),
        ("(a + b) * a", 10.0),
        ("12 / a / b", 2.0),
        ("a ^ b", 8.0),
        ("2 ^ 3 ^ 2", 512.0),
        ("-2 ^ 2", -4.0),
        ("(-2) ^ 2", 4.0),
        ("2 ^ -1", 0.5),
        ("--a", 2.0),
        ("a * -b", -6.0),
        ("a - -b", 5.0),
        ("min(a, b)", 2.0),
        ("max(a, b, 10)", 10.0),
        ("max(a)", 2.0),
        ("abs(-a)", 2.0),
        ("floor(2.9) + ceil(2.1)", 5.0),
        ("exp(0) + sqrt(9) + log(1)", 4.0),
        ("log(exp(a))", 2.0),
        ("min", 7.0),
        ("2 * precision * recall / max(precision + recall, 1e-9)", 1 / 3),
        ("2 * zero * zero / max(zero + zero, 1e-9)", 0.0),
        ("0.85 * a + 0.15 * b", 2.15),
    ],
)
def test_evaluates(text: str, value: float) -> None:
    assert Formula.parse(text).evaluate(VALUES) == pytest.approx(value, rel=1e-15)


def test_knows_its_variables() -> None:
    assert Formula.parse("max(a, b) + a * min(c_1, 2)").variables == {"a", "b", "c_1"}


@pytest.mark.parametrize(
    "text",
    [
        "", "   ", "a +", "* a", "a b", "2 a", "2a", "(a", "a)", "()", "min()", "min(a,)", "abs(a, b)", "sqrt()", "sin(a)",
        "a ** b", "a // b", "a % b", "+a", "a == b", "a < b", "a if b else 1", "a.real", "a[0]", "'a'", "a, b", "a; b", "a = 1",
        "__import__('os')", "lambda: a", "1e999", "0x10", "1_000", "1e", "é", "$a", "{{a}}",
    ],
)  # fmt: skip
def test_refuses_what_is_no_formula(text: str) -> None:
    with pytest.raises(FormulaSyntaxError):
        Formula.parse(text)


def test_refuses_a_formula_that_is_too_long() -> None:
    with pytest.raises(FormulaSyntaxError, match="longer than"):
        Formula.parse("1" + "+1" * MAX_LENGTH)


@pytest.mark.parametrize(("opening", "closing"), [("(", ")"), ("-", ""), ("abs(", ")"), ("2^", "")])
def test_refuses_a_formula_that_is_too_deep(opening: str, closing: str) -> None:
    with pytest.raises(FormulaSyntaxError, match="nested deeper"):
        Formula.parse(opening * (MAX_DEPTH + 1) + "1" + closing * (MAX_DEPTH + 1))


def test_a_long_chain_is_not_deep() -> None:
    assert Formula.parse("+".join(["1"] * 2000)).evaluate({}) == 2000.0


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1 / zero", "division by zero"),
        ("zero / zero", "division by zero"),
        ("zero ^ -1", "not defined"),
        ("(-a) ^ 0.5", "not defined"),
        ("sqrt(-a)", "not defined"),
        ("log(zero)", "not defined"),
        ("exp(1000)", "too large"),
        ("10 ^ 400", "too large"),
        ("1e308 * 10", "too large"),
        ("min(1, 1e308 + 1e308)", "too large"),
    ],
)
def test_what_has_no_finite_value_is_an_error(text: str, reason: str) -> None:
    with pytest.raises(FormulaValueError, match=reason):
        Formula.parse(text).evaluate(VALUES)


OPERANDS = st.sampled_from(["a", "b", "zero", "1", "0.5", "1e-9", "1e300"])
EXPRESSIONS = st.recursive(
    OPERANDS,
    lambda inner: (
        st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "^"]), inner).map(lambda three: f"({' '.join(three)})")
        | inner.map(lambda one: f"-{one}")
        | st.tuples(st.sampled_from(["abs", "floor", "ceil", "exp", "sqrt", "log"]), inner).map(lambda two: f"{two[0]}({two[1]})")
        | st.tuples(st.sampled_from(["min", "max"]), inner, inner).map(lambda three: f"{three[0]}({three[1]}, {three[2]})")
    ),
    max_leaves=12,
)


@given(EXPRESSIONS)
def test_agrees_with_python(text: str) -> None:
    names = {**VALUES, **{name: getattr(math, name) for name in ("floor", "ceil", "exp", "sqrt", "log")}, "min": min, "max": max}
    try:
        expected = float(eval(text.replace("^", "**"), {"__builtins__": {"abs": abs}}, names))
    except (ArithmeticError, ValueError, TypeError):
        expected = math.nan
    try:
        value = Formula.parse(text).evaluate(VALUES)
    except FormulaValueError:
        value = math.nan
    # Python goes on with infinities and complex numbers; here they are errors wherever they appear.
    assert math.isnan(value) or value == pytest.approx(expected, rel=1e-12)


@given(st.text(alphabet="ab01.e+-*/^(), minax", max_size=40))
def test_any_text_is_a_formula_or_a_syntax_error(text: str) -> None:
    with contextlib.suppress(FormulaSyntaxError):
        assert Formula.parse(text).root


@pytest.mark.parametrize("name", ["a", "_a1", "min"])
def test_names_of_variables(name: str) -> None:
    assert is_variable_name(name)


@pytest.mark.parametrize("name", ["", "1a", "a-b", "a b", "é", "a\n"])
def test_names_that_no_formula_can_speak(name: str) -> None:
    assert not is_variable_name(name)
