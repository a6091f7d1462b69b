"""Who is next where more calls wait than may run."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from graders.sandbox.turns import Turns

Call = tuple[str, int]
"""A tenant and one of its batches."""


def order(calls: Sequence[Call], *, given_up: Sequence[int] = (), parallel: int = 1) -> list[Call]:
    """Which calls ran, in order, where all came while others held every turn."""

    async def run() -> list[Call]:
        turns, begun = Turns(parallel), []

        async def one(call: Call) -> None:
            async with turns.turn(*call):
                begun.append(call)

        async with asyncio.TaskGroup() as holders:
            done = asyncio.Event()

            async def hold() -> None:
                async with turns.turn("holder", -1):
                    await done.wait()

            for _ in range(parallel):
                holders.create_task(hold())
            await asyncio.sleep(0)
            tasks = [asyncio.create_task(one(call)) for call in calls]
            await asyncio.sleep(0)
            for number in given_up:
                tasks[number].cancel()
            await asyncio.sleep(0)
            done.set()
        await asyncio.gather(*tasks, return_exceptions=True)
        return begun

    return asyncio.run(run())


def test_calls_of_one_batch_keep_their_order() -> None:
    assert order([("a", 1)] * 3) == [("a", 1)] * 3


def test_tenants_take_turns() -> None:
    assert order([("a", 1), ("a", 1), ("a", 1), ("b", 2)]) == [("a", 1), ("b", 2), ("a", 1), ("a", 1)]


def test_batches_of_a_tenant_take_turns() -> None:
    assert order([("a", 1), ("a", 1), ("a", 2), ("a", 2)]) == [("a", 1), ("a", 2), ("a", 1), ("a", 2)]


def test_a_tenants_many_batches_are_one_tenants() -> None:
    calls = [("a", 1), ("a", 2), ("a", 3), ("b", 4), ("b", 4)]
    assert order(calls) == [("a", 1), ("b", 4), ("a", 2), ("b", 4), ("a", 3)]


def test_who_has_given_up_is_passed_over() -> None:
    assert order([("a", 1), ("b", 2), ("c", 3)], given_up=[0, 1]) == [("c", 3)]


def test_all_run_at_a_time_that_may() -> None:
    async def run() -> int:
        turns, running, most = Turns(3), 0, 0

        async def one() -> None:
            nonlocal running, most
            async with turns.turn("a", 1):
                running += 1
                most = max(most, running)
                await asyncio.sleep(0)
                running -= 1

        await asyncio.gather(*(one() for _ in range(10)))
        return most

    assert asyncio.run(run()) == 3


def test_a_turn_that_was_given_up_as_it_came_goes_on_to_the_next() -> None:
    async def run() -> bool:
        turns = Turns(1)

        async def one() -> bool:
            async with turns.turn("a", 1):
                return True

        async with turns.turn("a", 1):
            first, second = asyncio.create_task(one()), asyncio.create_task(one())
            await asyncio.sleep(0)
        first.cancel()  # it was called with the end of the block, and has not run since
        return await second

    assert asyncio.run(run())
