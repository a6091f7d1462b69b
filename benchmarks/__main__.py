"""Runs all benchmarks, or the one named, prints a table each and writes `build/bench/<name>.json`."""

from __future__ import annotations

import importlib
import json
import os
import platform
import sys
from pathlib import Path

from benchmarks.check import Check

NAMES = (
    "api",
    "dashboard",
    "dispatch",
    "durability",
    "graders",
    "losses_vs_trl",
    "overhead",
    "sampling_vs_vllm",
    "step_vs_trl",
    "step_vs_trl_gsm8k",
    "time_to_reward",
    "update_limit",
    "upload",
)
OUT = Path(__file__).parents[1] / "build" / "bench"


def main(names: list[str]) -> None:
    """Run the benchmarks of these names; exits with 2 for an unknown one."""
    for name in names or NAMES:
        if name not in NAMES:
            raise SystemExit(f"no benchmark {name!r}; there is: {', '.join(NAMES)}")
        checks: list[Check] = importlib.import_module(f"benchmarks.{name}").run()
        machine = {"machine": platform.machine(), "cores": os.cpu_count(), "python": platform.python_version()}
        OUT.mkdir(parents=True, exist_ok=True)
        result = {"name": name, "machine": machine, "checks": [check.to_json() for check in checks]}
        (OUT / f"{name}.json").write_text(json.dumps(result, indent=2) + "\n")
        print(f"{name:24} {'ours':>12} {'peer':>12} {'unit':>10} {'ratio':>7}")
        for check in checks:
            print(f"  {check.name:22} {check.ours:12.3f} {check.peer:12.3f} {check.unit:>10} {check.ratio:7.2f}")


if __name__ == "__main__":
    main(sys.argv[1:])
