"""The whole crash matrix: `python -m tests.crash.matrix [--pairwise] [--at-once N] [--table FILE]`.

Runs the cells, says how each ended, and writes the table into FILE between the lines that mark its place.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import product
from pathlib import Path

from core.failpoints import POINTS
from tests.models import tiny_model

from .cells import Blow, Cell, Deployment, Victim, cells, pairwise
from .running import CellEnd, Places, run, undisturbed
from .servers import postgres_template

BEGIN, END = "<!-- crash matrix: begin -->", "<!-- crash matrix: end -->"
AT_ONCE = 3
"""Cells mostly wait, for leases and for each other's processes."""
_LETTERS = {Blow.KILL: "K", Blow.FREEZE: "F"}


@contextmanager
def places() -> Iterator[Places]:
    """A machine for cells, without the caller's variables."""
    for name in [name for name in os.environ if name.startswith(("RFT_", "AWS_"))]:
        del os.environ[name]
    with (
        tempfile.TemporaryDirectory(prefix="rft-crash-", ignore_cleanup_errors=True) as directory,
        postgres_template() as template,
    ):
        yield Places(tiny_model(Path(directory) / "tiny"), template, Path(directory))


def run_all(
    chosen: Sequence[Cell], where: Places, *, at_once: int = AT_ONCE, told: Callable[[CellEnd], object] = lambda _: None
) -> list[CellEnd]:
    """How each cell ended; `told` hears of each as it ends."""
    expected = undisturbed(where)

    def one(cell: Cell) -> CellEnd:
        outcome = run(cell, where, expected)
        told(outcome)
        return outcome

    with ThreadPoolExecutor(at_once) as pool:
        return list(pool.map(one, chosen))


def table(outcomes: Sequence[CellEnd]) -> str:
    """In Markdown: a line for each failpoint, a column for each victim of a deployment."""
    columns = [
        (deployment, victim)
        for deployment, victim in product(Deployment, Victim)
        if any((one.cell.deployment, one.cell.victim) == (deployment, victim) for one in outcomes)
    ]
    lines = [
        "| failpoint | " + " | ".join(f"{deployment}: {victim}" for deployment, victim in columns) + " |",
        "|---" * (len(columns) + 1) + "|",
    ]
    for point in POINTS:
        found = {(one.cell.deployment, one.cell.victim, one.cell.blow): one for one in outcomes if one.cell.point == point}
        marks = [" ".join(_mark(found.get((*column, blow)), blow) for blow in Blow).strip() for column in columns]
        if found:
            lines.append(f"| `{point}` | " + " | ".join(marks) + " |")
    return "\n".join(lines)


def report(outcomes: Sequence[CellEnd], of: int) -> str:
    """The table with when and how it came about."""
    failed = [one for one in outcomes if one.trouble]
    today = dt.datetime.now(tz=dt.UTC).date().isoformat()
    said = f"Run on {today} with `make crash`: {len(outcomes)} of {of} cells, {len(outcomes) - len(failed)} as promised."
    troubles = [f"- `{one.cell}`: {one.trouble[:300]}" for one in failed]
    return "\n".join([said, "", table(outcomes), *(["", "Not as promised:", "", *troubles] if troubles else [])])


def main(arguments: Sequence[str]) -> int:
    """Returns how many cells did not end as promised, 1 at most."""
    parser = argparse.ArgumentParser(prog="tests.crash.matrix")
    parser.add_argument("--pairwise", action="store_true", help="the selection of make test-heavy")
    parser.add_argument("--only", default="", help="cells whose name holds this")
    parser.add_argument("--at-once", type=int, default=AT_ONCE)
    parser.add_argument("--table", type=Path, help="a Markdown file that has a place for the table")
    asked = parser.parse_args(arguments)
    every = cells()
    chosen = [cell for cell in (pairwise(every) if asked.pairwise else every) if asked.only in str(cell)]
    with places() as where:
        outcomes = run_all(chosen, where, at_once=asked.at_once, told=_say)
    if asked.table:
        _write(asked.table, report(outcomes, len(every)))
    return int(any(one.trouble for one in outcomes))


def _say(outcome: CellEnd) -> None:
    sys.stdout.write(f"{outcome.seconds:6.1f} s  {outcome.cell}  {outcome.trouble or 'as promised'}\n")
    sys.stdout.flush()


def _mark(outcome: CellEnd | None, blow: Blow) -> str:
    if outcome is None:
        return ""
    return f"{_LETTERS[blow]} failed" if outcome.trouble else _LETTERS[blow]


def _write(file: Path, text: str) -> None:
    before, _, rest = file.read_text(encoding="utf-8").partition(BEGIN)
    _, _, behind = rest.partition(END)
    file.write_text(f"{before}{BEGIN}\n{text}\n{END}{behind}", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
