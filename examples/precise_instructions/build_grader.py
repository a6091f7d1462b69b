"""The grader of the task as a configuration: both python files in one `multi` grader, multiplied.

`python build_grader.py > grader.json` writes it for `rft jobs submit`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def grader() -> dict[str, Any]:
    """Share of complying sentences times the quality of the answer as an answer."""

    def python(name: str) -> dict[str, Any]:
        return {"type": "python", "name": name, "source": (HERE / f"grader_{name}.py").read_text()}

    return {
        "type": "multi",
        "name": "precise_instructions",
        "graders": {"share": python("share"), "answer": python("answer")},
        "calculate_output": "share * answer",
    }


if __name__ == "__main__":
    print(json.dumps(grader(), indent=2))
