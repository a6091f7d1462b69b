"""Metrics of a grader process, asked of it when Prometheus asks: it may have no network of its own."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from graders.sandbox import frames

_SECONDS = 2.0
UP = "touchstone_sandbox_up"
NAMES = {
    UP: "1 where the grader process answers, else 0 and nothing else of this list. Absent where none was needed yet.",
    "touchstone_sandbox_parallel": "Calls that may run at a time.",
    "touchstone_sandbox_running": "Calls under way.",
    "touchstone_sandbox_waiting": "Calls that wait for their turn.",
    "touchstone_sandbox_zygotes": "Warm processes, each with a grader's source loaded.",
    "touchstone_sandbox_zygote_starts_total": "Warm processes started.",
    "touchstone_sandbox_calls_total": "Calls of graders and runs of programs that were begun.",
}


class SandboxCollector(Collector):
    """The figures of the process at the socket that `path` tells; none where there is none."""

    def __init__(self, path: Callable[[], Path | None]) -> None:
        self._path = path

    def collect(self) -> Iterator[Metric]:
        """One value a metric. A process that does not answer is told, not raised."""
        path = self._path()
        if path is None:
            return
        try:
            figures = _ask(path)
        except (OSError, frames.BrokenFrame, ValueError):
            figures = {}
        for name, value in {UP: float(bool(figures)), **figures}.items():
            yield _family(name, value)

    def describe(self) -> Iterator[Metric]:
        """The names alone, so that a registry takes this collector without a question to the process."""
        for name in NAMES:
            yield _family(name, None)


def _family(name: str, value: float | None) -> Metric:
    kind = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
    return kind(name, NAMES[name], value=value)


def _ask(path: Path) -> dict[str, float]:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_SECONDS)
        connection.connect(str(path))
        frames.send(connection, {"figures": True})
        while "alive" in (answer := frames.receive(connection)):
            pass
    found = {f"touchstone_sandbox_{name}": float(value) for name, value in dict(answer).items()}
    return {name: value for name, value in found.items() if name in NAMES}
