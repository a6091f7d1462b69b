"""What every `Sandbox` promises, at every level."""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from graders.base import Sandbox, SandboxReply
from graders.sandbox.client import SandboxClient, SandboxUnavailable
from graders.sandbox.levels import LEVELS
from graders.sandbox.service import ServiceClient
from tests.grader_service import grader_service


@pytest.fixture(scope="module", params=[*LEVELS, "service"])
def sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    if request.param == "service":
        with grader_service() as service:
            client = ServiceClient(service.path)
            yield client.for_tenant("proj_a")
            client.close()
        return
    client = SandboxClient(wall_seconds=60, level=request.param)
    yield client
    client.close()


def grade(sandbox: Sandbox, body: str, *, head: str = "", sample: Any = None, item: Any = None) -> SandboxReply:
    [reply] = sandbox.run(f"{head}\ndef grade(sample, item):\n    {body}\n", [(sample or {}, item or {})])
    return reply


@pytest.mark.parametrize("value", [0.1, -3.0, 5, 0, True, False, 1e308])
def test_a_number_comes_back_as_it_is(sandbox: Sandbox, value: object) -> None:
    reply = grade(sandbox, f"return {value!r}")
    assert (type(reply.value), reply.value, reply.error) == (type(value), value, None)


def test_infinities_come_back_for_the_caller_to_judge(sandbox: Sandbox) -> None:
    assert grade(sandbox, "return float('-inf')").value == -math.inf


@pytest.mark.parametrize("scalar", ["float64(0.5)", "float32(0.5)", "array([0.5]).mean()"])
def test_numbers_of_numpy_are_numbers(sandbox: Sandbox, scalar: str) -> None:
    assert grade(sandbox, f"return numpy.{scalar}", head="import numpy").value == 0.5


@pytest.mark.parametrize(
    "value",
    ["None", "'1.0'", "[1.0]", "{}", "1j", "object()", "lambda: 1", "(i for i in 'a')", "type('S', (str,), {})('1')", "b'1'"],
)
def test_what_is_no_number_is_an_error(sandbox: Sandbox, value: str) -> None:
    reply = grade(sandbox, f"return {value}")
    assert reply.value is None
    assert "must return a number" in str(reply.error)


def test_results_come_in_order(sandbox: Sandbox) -> None:
    source = "import time\ndef grade(sample, item):\n    time.sleep(item['wait'])\n    return item['x']"
    calls: list[tuple[dict[str, Any], dict[str, Any]]] = [({}, {"x": x, "wait": 0.05 * (x % 3 == 0)}) for x in range(20)]
    assert [reply.value for reply in sandbox.run(source, calls)] == list(range(20))


def test_no_calls_have_no_results(sandbox: Sandbox) -> None:
    assert sandbox.run("def grade(sample, item): return 1", []) == []


def test_sample_and_item_arrive_whole(sandbox: Sandbox) -> None:
    value = {"text": "ü\ud800\0\n", "deep": [[{"a": None}]], "large": "x" * 3_000_000}
    body = "return sample == item and sample['text'] == 'ü\\ud800\\0\\n' and len(sample['large']) == 3_000_000"
    assert grade(sandbox, body, sample=value, item=value).value is True


def test_an_error_shows_the_graders_own_lines(sandbox: Sandbox) -> None:
    text = grade(sandbox, "return 1 / item['zero']", item={"zero": 0}).error
    assert text is not None
    assert "return 1 / item['zero']" in text
    assert text.endswith("ZeroDivisionError: division by zero")
    assert "zygote" not in text


def test_a_long_error_keeps_its_end(sandbox: Sandbox) -> None:
    text = grade(sandbox, "raise ValueError('x' * 100_000 + 'the end')").error
    assert text is not None
    assert len(text) == 2000
    assert text.endswith("the end")


def test_an_error_costs_its_own_call_only(sandbox: Sandbox) -> None:
    source = "def grade(sample, item): return 1 / item['x']"
    replies = sandbox.run(source, [({}, {"x": x}) for x in (1, 0, 2)])
    assert [reply.value for reply in replies] == [1.0, None, 0.5]


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        ("import no_such_module", "ModuleNotFoundError"),
        ("raise SystemExit(0)", "SystemExit"),
        ("import os; os._exit(0)", "ended its process"),
        ("def (:", "SyntaxError"),
    ],
)
def test_a_source_that_does_not_load_fails_every_call(sandbox: Sandbox, head: str, reason: str) -> None:
    replies = sandbox.run(f"{head}\ndef grade(sample, item): return 1", [({}, {})] * 3)
    assert [reason in str(reply.error) for reply in replies] == [True] * 3


def test_a_source_without_grade_fails(sandbox: Sandbox) -> None:
    [reply] = sandbox.run("def score(sample, item): return 1", [({}, {})])
    assert "does not define a function grade" in str(reply.error)


def test_a_main_block_does_not_run(sandbox: Sandbox) -> None:
    assert grade(sandbox, "return 1", head="if __name__ == '__main__': raise SystemExit(3)").value == 1


def test_printing_is_harmless(sandbox: Sandbox) -> None:
    assert grade(sandbox, "print('hello', flush=True); return 1", head="print('loading')").value == 1


def test_a_dataclass_of_the_source_works(sandbox: Sandbox) -> None:
    head = "from dataclasses import dataclass\n@dataclass\nclass Point:\n    x: 'int'"
    assert grade(sandbox, "return Point(4).x", head=head).value == 4


def test_a_pydantic_model_of_the_source_works(sandbox: Sandbox) -> None:
    head = "from __future__ import annotations\nfrom pydantic import BaseModel\nclass Point(BaseModel):\n    x: int"
    assert grade(sandbox, "return Point(**item).x", head=head, item={"x": 4}).value == 4


def test_nothing_stays_in_memory_from_call_to_call(sandbox: Sandbox) -> None:
    source = "seen = []\ndef grade(sample, item):\n    seen.append(1)\n    return len(seen)"
    assert [reply.value for reply in sandbox.run(source, [({}, {})] * 4)] == [1] * 4


def test_each_call_starts_in_an_empty_directory(sandbox: Sandbox) -> None:
    source = (
        "import os\ndef grade(sample, item):\n    open('left', 'w').close()\n    os.makedirs('a/b')\n    return len(os.listdir())"
    )
    assert [reply.value for reply in sandbox.run(source, [({}, {})] * 4)] == [2] * 4


def test_chance_is_the_same_in_every_call(sandbox: Sandbox) -> None:
    source = "import random\nimport numpy\ndef grade(sample, item): return random.random() + numpy.random.random()"
    assert len({reply.value for reply in sandbox.run(source, [({}, {})] * 4)}) == 1


def test_order_of_sets_is_the_same_in_every_process(sandbox: Sandbox) -> None:
    body = "return hash('touchstone') % 1_000_003"
    assert grade(sandbox, body, head="# one process").value == grade(sandbox, body, head="# another process").value


def test_the_environment_holds_nothing_of_ours(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_A_TEST", "1")
    assert (
        grade(sandbox, "return 'SECRET_OF_A_TEST' in os.environ or 'PYTHONPATH' in os.environ", head="import os").value is False
    )


def test_no_descriptor_of_ours_is_open(sandbox: Sandbox) -> None:
    """Standard streams and the call's own channel."""
    head = """
import os
def is_open(number):
    try:
        os.fstat(number)
    except OSError:
        return False
    return True
"""
    assert grade(sandbox, "return sum(map(is_open, range(256)))", head=head).value == 4


def test_threads_may_share_it(sandbox: Sandbox) -> None:
    def grade_many(number: int) -> list[Any]:
        replies = sandbox.run(f"def grade(sample, item): return item['x'] + {number}", [({}, {"x": x}) for x in range(5)])
        return [reply.value for reply in replies]

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(grade_many, range(12))) == [[x + number for x in range(5)] for number in range(12)]


def test_it_works_again_after_close() -> None:
    client = SandboxClient()
    source = "def grade(sample, item): return 1"
    client.run(source, [({}, {})])
    client.close()
    assert client.run(source, [({}, {})])[0].value == 1
    client.close()


@pytest.mark.parametrize("python", ["/no/such/python", "/bin/false"])
def test_an_interpreter_that_does_not_start_is_unavailable(python: str) -> None:
    client = SandboxClient(python)
    with pytest.raises(SandboxUnavailable, match="does not start"):
        client.run("def grade(sample, item): return 1", [({}, {})])
    client.close()
