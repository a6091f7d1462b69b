"""Schemathesis over the OpenAPI document, as two tenants, as an administrator and as nobody.

No 5xx, no status, content type or body that the document does not tell, no wrong data accepted, no route open without a key. Chat
models and judges are scripted: that a model samples is tested elsewhere. Nothing is left out but the pages' session, whose routes
are signed in to by a cookie. The number of cases is shown at the session's end.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.openapi.schemathesis_run import run
from tests.openapi.world import ADMIN_KEY, World, inhabited

SEED = 1
SEED_AT_LENGTH = int(os.environ.get("RFT_TEST_SEED", "2"))
"""The same in every run, so that a red run means a change; set it to look further."""
SESSION = ("--exclude-path", "/dashboard/session")
TENANTS = (*SESSION, "--exclude-path-regex", "^/v1/organization")
ORGANIZATION = ("--include-path-regex", "^/v1/organization")
FUZZING = ("--phases", "fuzzing")


pytestmark = pytest.mark.timeout(900)


@pytest.fixture
def fuzzed(tmp_path: Path) -> Iterator[World]:
    """An instance of its own: Schemathesis changes and deletes what it finds."""
    with inhabited(tmp_path) as world:
        yield world


def check(world: World, directory: Path, told: list[str], key: str | None, *options: str, examples: int, seed: int = SEED) -> int:
    outcome = run(
        directory, world.base_url, key, world.first.ids | world.admin_ids, examples=examples, seed=seed, options=options
    )
    told.append(f"Schemathesis, seed {seed}: {outcome.cases} cases")
    assert outcome.is_good, outcome.text
    assert outcome.cases > 0, outcome.text
    return outcome.cases


def test_what_an_owner_may_send(fuzzed: World, tmp_path: Path, told: list[str]) -> None:
    assert check(fuzzed, tmp_path, told, fuzzed.first.key, *TENANTS, examples=5) > 1000


def test_what_others_may_send(fuzzed: World, tmp_path: Path, told: list[str]) -> None:
    before = {name: found for name, found in fuzzed.rows().items() if "key" not in name}
    check(fuzzed, tmp_path, told, None, *SESSION, *FUZZING, examples=2)
    assert {name: found for name, found in fuzzed.rows().items() if "key" not in name} == before
    check(fuzzed, tmp_path, told, fuzzed.second.key, *TENANTS, *FUZZING, examples=4)
    check(fuzzed, tmp_path, told, ADMIN_KEY, *ORGANIZATION, *FUZZING, examples=4)


@pytest.mark.heavy
@pytest.mark.timeout(1800)
def test_what_an_owner_may_send_at_length(fuzzed: World, tmp_path: Path, told: list[str]) -> None:
    check(fuzzed, tmp_path, told, fuzzed.first.key, *TENANTS, examples=25, seed=SEED_AT_LENGTH)
    check(fuzzed, tmp_path, told, ADMIN_KEY, *ORGANIZATION, examples=15, seed=SEED_AT_LENGTH)
