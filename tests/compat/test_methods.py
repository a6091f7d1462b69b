"""Every method that `docs/api-parity.md` claims, through the real SDK against a really served instance, lax and strict."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from openai import APIResponseValidationError, OpenAI

from tests.compat.cases import CASES
from tests.compat.departures import DEPARTURES, IN_CASES
from tests.compat.parity import verdicts
from tests.compat.served import openapi_document
from tests.compat.world import World


@pytest.fixture
def lax(world: World) -> Iterator[OpenAI]:
    with world.client() as client:
        yield client


@pytest.fixture
def strict(world: World) -> Iterator[OpenAI]:
    """Refuses every reply that departs from OpenAI's types."""
    with world.client(_strict_response_validation=True) as client:
        yield client


def test_every_claimed_method_has_its_case_and_no_other_has() -> None:
    claimed = {verdict.method for verdict in verdicts(openapi_document()) if verdict.verdict != "no"}
    assert set(CASES) == claimed


@pytest.mark.parametrize("method", sorted(CASES))
def test_a_method_works(lax: OpenAI, world: World, method: str) -> None:
    CASES[method](lax, world)


@pytest.mark.parametrize("method", sorted(set(CASES) - set(IN_CASES)))
def test_a_method_works_with_a_strict_client(strict: OpenAI, world: World, method: str) -> None:
    CASES[method](strict, world)


@pytest.mark.parametrize("method", sorted(IN_CASES))
def test_a_reply_that_the_types_exclude_is_all_that_a_strict_client_refuses(strict: OpenAI, world: World, method: str) -> None:
    with pytest.raises(APIResponseValidationError) as caught:
        CASES[method](strict, world)
    assert caught.value.request.url.path.endswith(IN_CASES[method])


@pytest.mark.parametrize("name", sorted(DEPARTURES))
def test_what_the_types_exclude_is_read_by_a_lax_client_and_refused_by_a_strict_one(
    lax: OpenAI, strict: OpenAI, world: World, name: str
) -> None:
    departure = DEPARTURES[name]
    assert departure.read(departure.call(lax, world))
    with pytest.raises(APIResponseValidationError):
        departure.call(strict, world)
