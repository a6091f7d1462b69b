"""The table of cases: one real call, or a few, for each method of the SDK that this service answers."""

from __future__ import annotations

from collections.abc import Callable

from openai import OpenAI

from tests.compat.world import World

Case = Callable[[OpenAI, World], None]

CASES: dict[str, Case] = {}
"""What proves each method, by its name in the SDK. A case makes its own objects, so that it can run any number of times."""


def proves(method: str) -> Callable[[Case], Case]:
    """Puts a case into the table."""

    def register(case: Case) -> Case:
        assert method not in CASES, method
        CASES[method] = case
        return case

    return register
