"""Look-ups that share calls: who asks what gets what, whatever becomes of the others."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping, Sequence

import pytest

from core.batching import MAX_KEYS, Batched

pytestmark = pytest.mark.parametrize("threads", [0, 1])


class Loader:
    """Squares numbers; `calls` are the keys of each call."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []
        self.threads: set[str] = set()

    def __call__(self, keys: Sequence[int]) -> Mapping[int, int | Exception]:
        self.calls.append(list(keys))
        self.threads.add(threading.current_thread().name)
        if -1 in keys:
            raise RuntimeError("the load failed")
        return {key: KeyError(key) if key == 13 else key * key for key in keys if key != 404}


def ask(loader: Loader, threads: int, *keys: int) -> list[object]:
    """What all who ask at once get."""

    async def main() -> list[object]:
        batched: Batched[int, int] = Batched(loader, threads=threads)
        try:
            return list(await asyncio.gather(*(batched.get(key) for key in keys), return_exceptions=True))
        finally:
            batched.close()

    return asyncio.run(main())


def test_each_gets_the_value_of_its_key(threads: int) -> None:
    assert ask(Loader(), threads, 3, 1, 2) == [9, 1, 4]


def test_what_comes_together_is_one_call(threads: int) -> None:
    loader = Loader()
    ask(loader, threads, *range(50))
    assert len(loader.calls) == 1


def test_a_key_asked_for_twice_is_loaded_once(threads: int) -> None:
    loader = Loader()
    assert ask(loader, threads, 5, 5, 5) == [25, 25, 25]
    assert loader.calls == [[5]]


def test_a_key_without_a_value_is_none(threads: int) -> None:
    assert ask(Loader(), threads, 404, 2) == [None, 4]


def test_an_error_of_one_key_is_raised_to_its_askers_alone(threads: int) -> None:
    outcome = ask(Loader(), threads, 13, 2)
    assert isinstance(outcome[0], KeyError)
    assert outcome[1] == 4


def test_a_call_that_fails_fails_all_who_waited_for_it(threads: int) -> None:
    assert [type(outcome) for outcome in ask(Loader(), threads, -1, 2)] == [RuntimeError, RuntimeError]


def test_after_a_failed_call_the_next_works(threads: int) -> None:
    async def main() -> int | None:
        batched: Batched[int, int] = Batched(Loader(), threads=threads)
        with pytest.raises(RuntimeError):
            await batched.get(-1)
        value = await batched.get(3)
        batched.close()
        return value

    assert asyncio.run(main()) == 9


def test_no_call_asks_for_more_than_its_share(threads: int) -> None:
    loader = Loader()
    count = 2 * MAX_KEYS + 1
    values = ask(loader, threads, *range(1000, 1000 + count))
    assert len(values) == count
    assert [len(call) for call in loader.calls] == [MAX_KEYS, MAX_KEYS, 1]


def test_an_answer_is_read_after_its_question(threads: int) -> None:
    async def main() -> int:
        loader = Loader()
        batched: Batched[int, int] = Batched(loader, threads=threads)
        await batched.get(3)
        await batched.get(3)
        batched.close()
        return len(loader.calls)

    assert asyncio.run(main()) == 2


def test_who_gives_up_disturbs_nobody(threads: int) -> None:
    async def main() -> int | None:
        batched: Batched[int, int] = Batched(Loader(), threads=threads)
        first, second = asyncio.create_task(batched.get(3)), asyncio.create_task(batched.get(3))
        await asyncio.sleep(0)
        first.cancel()
        value = await second
        batched.close()
        return value

    assert asyncio.run(main()) == 9


def test_loads_run_where_they_were_told_to(threads: int) -> None:
    loader = Loader()
    ask(loader, threads, 1)
    (name,) = loader.threads
    assert name.startswith("look-up" if threads else "MainThread")
