"""The table of the SDK's methods is fresh, and holds a yes for every method that an RFT user calls."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.compat.parity import Verdict, table, verdicts
from tests.compat.served import openapi_document

PAGE = Path(__file__).parents[2] / "docs" / "api-parity.md"

PROMISED = ("files.", "uploads.", "fine_tuning.", "models.", "webhooks.")
PROMISED_METHODS = {"chat.completions.create", "chat.completions.parse", "chat.completions.stream", "responses.create"}


@pytest.fixture(scope="module")
def found() -> list[Verdict]:
    return verdicts(openapi_document())


def test_the_page_is_fresh() -> None:
    assert PAGE.read_text() == table(openapi_document()), "run `make parity`"


def test_every_method_of_the_promised_resources_is_answered(found: list[Verdict]) -> None:
    promised = [v for v in found if v.method.startswith(PROMISED) or v.method in PROMISED_METHODS]
    assert len(promised) > 40
    assert [v.method for v in promised if v.verdict != "yes"] == []


def test_methods_without_a_route_are_not_claimed(found: list[Verdict]) -> None:
    said = {v.method: v.verdict for v in found}
    assert {said[name] for name in ("images.generate", "audio.speech.create", "vector_stores.files.upload")} == {"no"}
