"""What the documents say is what the code does."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest

from core.jobs.plan import Hyperparameters, Options, resolve
from core.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("api", "cli", "core", "graders", "migrations", "worker")
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "tests" / "README.md"])
HYPERPARAMETERS = (ROOT / "docs" / "hyperparameters.md").read_text(encoding="utf-8")


def table_rows(text: str, columns: int) -> list[list[str]]:
    """Cells of the rows of all tables with so many columns, without heads and rules."""
    rows = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]
    return [row for row in rows if len(row) == columns]


def test_auto_means_the_numbers_in_the_document() -> None:
    cases = [[int(cell.replace(",", "")) for cell in row] for row in table_rows(HYPERPARAMETERS, 8) if row[0][:1].isdigit()]
    resolved = []
    for train_rows, valid_rows, *_ in cases:
        plan = resolve(Hyperparameters(), Options(), train_rows=train_rows, valid_rows=valid_rows)
        steps_an_epoch = math.ceil(train_rows / plan.batch_size)
        numbers = [plan.batch_size, steps_an_epoch, plan.n_epochs, plan.total_steps, plan.eval_interval, plan.eval_samples]
        resolved.append([train_rows, valid_rows, *numbers])
    assert resolved == cases
    assert cases


@pytest.mark.parametrize("schema", [Hyperparameters, Options])
def test_every_hyperparameter_is_explained(schema: type[Hyperparameters] | type[Options]) -> None:
    assert {name for name in schema.model_fields if f"| `{name}` |" not in HYPERPARAMETERS} == set()


def test_every_setting_with_an_effect_is_in_the_example() -> None:
    code = "\n".join(path.read_text(encoding="utf-8") for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    effective = [field for field in Settings.model_fields if re.search(rf"\.{field}\b", code)]
    named = re.findall(r"^#?(RFT_[A-Z_]+)=", (ROOT / ".env.example").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert sorted(named) == sorted(f"RFT_{field.upper()}" for field in effective)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(document: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", document.read_text(encoding="utf-8"))
    assert [link for link in links if not (document.parent / link).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_python_examples_parse(document: Path) -> None:
    for block in re.findall(r"^```python\n(.*?)^```", document.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL):
        compile(block, str(document), "exec")
