"""Answers and references in the manner of the MATH data set, right and wrong, and texts that ask for astronomic work."""

from __future__ import annotations

import itertools
import json
import random
from pathlib import Path

GSM8K = Path(__file__).parents[2] / "shared" / "data" / "gsm8k"

EQUAL = [
    ("72", "72"),
    ("72.0", "72"),
    ("$72$", "72"),
    ("\\boxed{1,000}", "1000"),
    ("1/2", "\\frac{1}{2}"),
    ("$0.5$", "\\frac{1}{2}"),
    ("$\\dfrac{14}{3}$", "\\frac{14}{3}"),
    ("$-\\frac{7}{2}$", "-3.5"),
    ("$3\\frac{1}{2}$", "\\frac{7}{2}"),
    ("50%", "50\\%"),
    ("$50\\%$", "50%"),
    ("$\\sqrt{8}$", "2\\sqrt{2}"),
    ("$\\frac{1}{\\sqrt{2}}$", "\\frac{\\sqrt{2}}{2}"),
    ("$2^{10}$", "1024"),
    ("$\\{1, 2, 3\\}$", "\\{3, 2, 1\\}"),
    ("$(1, 2)$", "(1, 2)"),
    ("$[0, 1)$", "[0, 1)"),
    ("$(-\\infty, 3]$", "(-\\infty, 3]"),
    ("$x = 5$", "5"),
    ("$x^2 + 2x + 1$", "(x+1)^2"),
    ("$x \\le 4$", "4 \\ge x"),
    ("$90^\\circ$", "90^\\circ"),
    ("$90$", "90^\\circ"),
    ("$\\begin{pmatrix} 1 & 2 \\\\ 3 & 4 \\end{pmatrix}$", "\\begin{pmatrix} 1 & 2 \\\\ 3 & 4 \\end{pmatrix}"),
    ("$5 \\text{ cm}$", "5"),
    ("$\\$18$", "18"),
    ("$18$", "18 dollars"),
    ("$\\pi r^2$", "r^2\\pi"),
    ("$3 + 4i$", "4i + 3"),
    ("$\\log_2 8$", "3"),
    ("$\\sin(\\frac{\\pi}{6})$", "\\frac{1}{2}"),
    ("$\\binom{5}{2}$", "10"),
    ("$y = 2x + 1$", "y = 2x + 1"),
    ("$\\frac{x^2 - 1}{x - 1}$", "x + 1"),
    ("$(2, 3, 5)$", "(2, 3, 5)"),
    ("$1.5 \\times 10^3$", "1500"),
    ("$\\text{east}$", "\\text{east}"),
    ("$e^{2 \\ln 3}$", "9"),
    ("$1, 2, 3$", "1, 2, 3"),
    ("$\\frac{3}{4} \\text{ miles}$", "0.75"),
]
DIFFERENT = [
    ("71", "72"),
    ("$-72$", "72"),
    ("$\\frac{1}{3}$", "\\frac{1}{2}"),
    ("$0.33$", "\\frac{1}{3}"),
    ("$2\\sqrt{3}$", "2\\sqrt{2}"),
    ("$\\{1, 2\\}$", "\\{1, 2, 3\\}"),
    ("$(2, 1)$", "(1, 2)"),
    ("$[0, 1]$", "[0, 1)"),
    ("$x = 6$", "5"),
    ("$x^2 + 1$", "(x+1)^2"),
    ("$x \\ge 4$", "x \\le 4"),
    ("$\\begin{pmatrix} 1 & 2 \\\\ 3 & 5 \\end{pmatrix}$", "\\begin{pmatrix} 1 & 2 \\\\ 3 & 4 \\end{pmatrix}"),
    ("$4 - 3i$", "3 + 4i"),
    ("$y = 2x - 1$", "y = 2x + 1"),
    ("I do not know.", "72"),
    ("", "72"),
    ("the answer is blue", "12"),
    ("$\\pi$", "3.14"),
    ("$x$", "y"),
    ("\\boxed{}", "3"),
]

BOMBS = [
    "$9^{9^{9^{9}}}$",
    "$10^{10^{10}}$",
    "$" + "x^{" * 300 + "x" + "}" * 300 + "$",
    "$1000000000!$",
    "$((2^{64})!)!$",
    "$\\binom{10^9}{5*10^8}$",
    "$(x+y+z)^{1000}$",
    "$" + "(" * 5000 + "1" + ")" * 5000 + "$",
    "$\\sum_{n=1}^{10^{10}} n^n$",
    "$\\int_0^{\\infty} e^{-x^{x}} \\sin(x^x) dx$",
    "$\\prod_{i=1}^{1000000} (x+i)$",
    "$" + "\\frac{1}{" * 200 + "2" + "}" * 200 + "$",
    "$" + "9" * 50_000 + "$",
    "\\boxed{" * 3000,
    "$\\{" + ",".join(map(str, range(3000))) + "\\}$",
    "$" * 20_000,
]
"""Each asks a computer algebra system, or its parser, for more than there is."""


def math_like() -> list[tuple[str, str]]:
    """(completion, reference): each pair above at the end of some reasoning, plain and boxed."""
    pairs = []
    for answer, reference in EQUAL + DIFFERENT:
        pairs.append((f"We simplify step by step. Therefore the answer is {answer}", reference))
        if answer.startswith("$") and answer.endswith("$"):
            pairs.append((f"First, $3 + 4 = 7$. Then we are done: \\boxed{{{answer[1:-1]}}}.", reference))
    return pairs


def gsm8k() -> list[tuple[str, str]]:
    """(completion, reference) from GSM8K's own solutions, every other one with another row's reference.

    Empty where the data set does not lie beside the checkout.
    """
    rows = [json.loads(line) for file in sorted(GSM8K.glob("*.jsonl")) for line in file.read_text("utf-8").splitlines()]
    answers = [(row["answer"], row["answer"].rpartition("####")[2].strip()) for row in rows]
    shifted = answers[1:] + answers[:1]
    return [
        (mine[0], (mine if index % 2 else other)[1]) for index, (mine, other) in enumerate(zip(answers, shifted, strict=True))
    ]


def mixed(count: int, seed: int = 0) -> list[tuple[str, str]]:
    """So many pairs of both kinds, in an order of their own."""
    pairs = gsm8k() + math_like() * 8
    random.Random(seed).shuffle(pairs)
    return list(itertools.islice(itertools.cycle(pairs), count))
