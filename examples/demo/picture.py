"""The reward curve as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def draw_curve(metrics: list[dict[str, Any]], path: Path) -> None:
    """Train and validation reward by step, as PNG."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7.2, 3.8), dpi=150)
    for key, label, colour, style in (
        ("train_mean_reward", "training prompts", "#8fa3b5", "-"),
        ("full_valid_mean_reward", "held-out prompts", "#c2410c", "o-"),
    ):
        points = [(step["step"], step[key]) for step in metrics if step[key] is not None]
        axes.plot(
            *zip(*points, strict=True), style, color=colour, label=label, linewidth=2 if style == "o-" else 1.3, markersize=5
        )
    axes.set(xlabel="step", ylabel="mean reward", ylim=(0, 1), title="SmolLM2-135M learns to start every sentence with A")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#e5e7eb", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.legend(frameon=False, loc="lower right")
    figure.tight_layout()
    figure.savefig(path)
    plt.close(figure)
