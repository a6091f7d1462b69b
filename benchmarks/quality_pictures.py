"""The pictures of `benchmarks.quality`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmarks.quality import Run

Result = dict[str, Any]
_COLOURS = {"ours": "#c2410c", "trl": "#475569"}
_TITLES = {"precise_instructions": "Precise instructions", "sums": "Grade-school sums"}


def draw(results: Sequence[tuple[Run, Result]], directory: Path) -> None:
    """`quality_<task>.png`: the reward by step and by second; `quality_health.png`: what the long runs turned into."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    directory.mkdir(parents=True, exist_ok=True)
    for task in _TITLES:
        figure, panels = plt.subplots(1, 2, figsize=(9.6, 3.6), dpi=120, sharey=True)
        for axis, label, axes in zip((0, 1), ("step", "seconds of training"), panels, strict=True):
            for side, colour in _COLOURS.items():
                curves = [r["points"] for run, r in results if (run.task.name, run.side, run.passes) == (task, side, 5)]
                _curves(axes, curves, axis, side, colour)
            _dress(axes, label)
        panels[0].set(ylabel="validation reward", ylim=(0, 1))
        panels[0].legend(frameon=False, loc="lower right")
        _save(plt, figure, _TITLES[task], directory / f"quality_{task}.png")
    figure, rows = plt.subplots(1, 4, figsize=(12, 3.2), dpi=120)
    for run, result in results:
        if run.passes > 5:
            colour = {"sums": "#0f766e"}.get(run.task.name, "#c2410c")
            rows[0].plot([p[0] for p in result["points"]], [p[2] for p in result["points"]], color=colour, label=run.task.name)
            for axes, key in zip(rows[1:], ("entropy", "length", "kl"), strict=True):
                axes.plot([h["step"] for h in result["health"]], [h[key] for h in result["health"]], color=colour)
    for axes, name in zip(rows, ("validation reward", "entropy", "completion tokens", "KL to the base model"), strict=True):
        _dress(axes, "step")
        axes.set_title(name, fontsize=10)
    rows[0].legend(frameon=False, fontsize=8)
    _save(plt, figure, "120 steps under default settings", directory / "quality_health.png")


def _curves(axes: Any, curves: Sequence[Sequence[Sequence[float]]], axis: int, label: str, colour: str) -> None:
    """Every seed thin, the mean by step thick."""
    by_step: dict[float, list[Sequence[float]]] = defaultdict(list)
    for points in curves:
        axes.plot([p[axis] for p in points], [p[2] for p in points], color=colour, linewidth=0.7, alpha=0.5)
        for point in points:
            by_step[point[0]].append(point)
    full = [points for _, points in sorted(by_step.items()) if len(points) == len(curves)]
    if full:
        mean = [(fmean(p[axis] for p in points), fmean(p[2] for p in points)) for points in full]
        name = "Touchstone" if label == "ours" else "TRL"
        axes.plot(*zip(*mean, strict=True), color=colour, linewidth=2.2, label=f"{name}, {len(curves)} seeds")


def _dress(axes: Any, label: str) -> None:
    axes.set_xlabel(label)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#e5e7eb", linewidth=0.8)
    axes.set_axisbelow(True)


def _save(plt: Any, figure: Any, title: str, path: Path) -> None:
    figure.suptitle(title, fontsize=11)
    figure.tight_layout()
    figure.savefig(path)
    plt.close(figure)
