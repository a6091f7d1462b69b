"""What commands print: tables for people, tab-separated lines for programs."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from itertools import pairwise

import typer
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

console = Console(highlight=False, soft_wrap=True)
errors = Console(stderr=True, highlight=False, soft_wrap=True)

_BARS = "▁▂▃▄▅▆▇█"


def print_rows(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table on a terminal; otherwise one line a row, cells separated by tabs, without headings."""
    if not console.is_terminal:
        for row in rows:
            typer.echo("\t".join(row))
        return
    table = Table(box=box.SIMPLE)
    for place, heading in enumerate(headings):
        # Ids stand first, whole on one line: they are there to be copied.
        table.add_column(heading, no_wrap=place == 0, overflow="fold")
    for row in rows:
        table.add_row(*row)
    console.print(table)


def progress() -> Progress:
    """A bar on standard error that counts, and is gone at the end; nothing off a terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=errors, disable=not errors.is_terminal, transient=True)


def moment(seconds: float | None) -> str:
    """A unix time in the local zone."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds)) if seconds else "-"


def duration(seconds: float) -> str:
    """`1:05` or `2:03:04`."""
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def sparkline(values: Sequence[float], width: int, *, low: float, high: float) -> str:
    """A curve of at most `width` characters between two bounds; where there are more values, neighbours are averaged."""
    columns = min(width, len(values))
    cuts = [len(values) * column // columns for column in range(columns + 1)] if columns else []
    means = [sum(values[begin:end]) / (end - begin) for begin, end in pairwise(cuts)]
    spread = high - low
    shares = [(mean - low) / spread if spread > 0 else 0.0 for mean in means]
    return "".join(_BARS[min(len(_BARS) - 1, max(0, int(share * len(_BARS))))] for share in shares)
