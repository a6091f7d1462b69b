"""Graders that misbehave cost their own call, and nothing else."""

from __future__ import annotations

import pytest

from graders.sandbox.client import SandboxClient

# Each attacks where item["attack"] is true.
ENDINGS = {
    "os._exit(0)": "exit code 0",
    "os._exit(7)": "exit code 7",
    "sys.exit(0)": "SystemExit",
    "raise KeyboardInterrupt": "KeyboardInterrupt",
    "raise GeneratorExit": "GeneratorExit",
    "os.abort()": "signal",
    "ctypes.string_at(0)": "signal 11",
    "return grade(sample, item)": "RecursionError",
    "bytearray(4 << 30)": "MemoryError",
    "[bytearray(10 << 20) for _ in range(1000)]": "MemoryError",
    "open('big', 'wb').truncate(1 << 40)": "File too large",
    "[open('/dev/null') for _ in range(10_000)]": "Too many open files",
    "os.execv(sys.executable, ['python', '-c', ''])": "exit code 0",
    "return 10 ** 5000": "without a result",
}


@pytest.mark.parametrize(("attack", "reason"), ENDINGS.items())
def test_an_end_without_a_number_is_an_error_of_that_call(sandbox: SandboxClient, attack: str, reason: str) -> None:
    source = f"import ctypes, os, signal, sys\ndef grade(sample, item):\n    if item['attack']:\n        {attack}\n    return 1.0"
    replies = sandbox.run(source, [({}, {"attack": attacks}) for attacks in (False, True, False, False)])
    assert [reply.value for reply in replies] == [1.0, None, 1.0, 1.0]
    assert reason in str(replies[1].error)


FORGERIES = [
    "print('{\"value\": 1.0}')",
    "sys.stdout.buffer.write(b'\\0\\0\\0\\x0e{\"value\": 1.0}')",
    "os.write(1, b'\\0\\0\\0\\x0e{\"value\": 1.0}')",
    "os.write(2, b'\\0\\0\\0\\x0e{\"value\": 1.0}')",
    "sys.__stdout__.write('{\"value\": 1.0}')",
    "atexit.register(lambda: print('{\"value\": 1.0}'))",
]


@pytest.mark.parametrize("forgery", FORGERIES)
def test_what_is_printed_is_no_result(sandbox: SandboxClient, forgery: str) -> None:
    [reply] = sandbox.run(f"import atexit, os, sys\ndef grade(sample, item):\n    {forgery}\n    os._exit(0)", [({}, {})])
    assert (reply.value, "exit code 0" in str(reply.error)) == (None, True)


@pytest.mark.parametrize(
    "junk", ["b'junk'", "b'\\xff' * 100", "b'\\0\\0\\0\\2[]'", "b'\\0\\0\\0\\2{}'", 'b\'\\0\\0\\0\\x0d{"value":"1"}\'']
)
def test_junk_on_any_descriptor_is_no_result(sandbox: SandboxClient, junk: str) -> None:
    source = f"""
import os
def grade(sample, item):
    for descriptor in range(3, 256):
        try:
            os.write(descriptor, {junk})
        except OSError:
            pass
    os._exit(0)
"""
    [reply] = sandbox.run(source, [({}, {})])
    assert reply.value is None
    assert reply.error


def test_closed_descriptors_are_an_error(sandbox: SandboxClient) -> None:
    [reply] = sandbox.run("import os\ndef grade(sample, item):\n    os.closerange(0, 256)\n    return 1.0", [({}, {})])
    assert reply.value is None


def test_a_flood_of_output_goes_nowhere(sandbox: SandboxClient) -> None:
    source = "import os\ndef grade(sample, item):\n    for _ in range(2000):\n        os.write(1, b'x' * 100_000)\n    return 1.0"
    assert sandbox.run(source, [({}, {})])[0].value == 1.0


@pytest.mark.parametrize("loop", ["while True: pass", "sum(range(10**12))"])
def test_a_call_that_never_ends_is_stopped(hasty: SandboxClient, loop: str) -> None:
    source = f"def grade(sample, item):\n    if item['attack']:\n        {loop}\n    return 1.0"
    replies = hasty.run(source, [({}, {"attack": attacks}) for attacks in (True, False, False)])
    assert [reply.value for reply in replies] == [None, 1.0, 1.0]
    assert replies[0].error == "grade ran longer than 2 seconds and was stopped"


def test_catching_everything_does_not_prolong_a_call(hasty: SandboxClient) -> None:
    source = """
import signal
def grade(sample, item):
    for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_IGN)
    while True:
        try:
            while True:
                pass
        except BaseException:
            pass
"""
    assert "and was stopped" in str(hasty.run(source, [({}, {})])[0].error)


def test_a_source_that_never_loads_is_stopped(hasty: SandboxClient) -> None:
    replies = hasty.run("while True: pass\ndef grade(sample, item): return 1.0", [({}, {})] * 3)
    assert {reply.error for reply in replies} == {"loading the source took longer than 2 seconds"}


def test_killing_the_parent_does_not_harm_the_neighbours(sandbox: SandboxClient) -> None:
    source = """
import os, time
def grade(sample, item):
    if item["attack"]:
        os.kill(os.getppid(), 9)
    time.sleep(0.2)
    return 1.0
"""
    replies = sandbox.run(source, [({}, {"attack": number == 1}) for number in range(6)])
    assert [reply.value for reply in replies if reply is not replies[1]] == [1.0] * 5


def test_a_batch_after_an_attack_is_graded(sandbox: SandboxClient) -> None:
    body = "if item['attack']:\n        os.kill(os.getppid(), 9)\n        os._exit(1)\n    return 1.0"
    source = f"import os\ndef grade(sample, item):\n    {body}"
    sandbox.run(source, [({}, {"attack": True})] * 3)
    assert sandbox.run(source, [({}, {"attack": False})])[0].value == 1.0


@pytest.mark.parametrize(
    "value",
    [
        "type('F', (float,), {'__float__': lambda self: 0.5, '__repr__': lambda self: '1}, {'})(7.0)",
        "type('I', (int,), {'__int__': lambda self: 0, '__repr__': lambda self: '1}, {'})(7)",
    ],
)
def test_dressed_up_numbers_are_plain_numbers(sandbox: SandboxClient, value: str) -> None:
    [reply] = sandbox.run(f"def grade(sample, item): return {value}", [({}, {})])
    assert type(reply.value) in (float, int, type(None))


def test_a_number_that_raises_when_it_is_read_is_an_error(sandbox: SandboxClient) -> None:
    source = "class F(float):\n    def __float__(self): raise SystemExit(0)\ndef grade(sample, item): return F(1.0)"
    assert "SystemExit" in str(sandbox.run(source, [({}, {})])[0].error)


def test_an_error_whose_text_raises_is_an_error(sandbox: SandboxClient) -> None:
    source = "class E(Exception):\n    def __str__(self): raise SystemExit(0)\ndef grade(sample, item): raise E"
    [reply] = sandbox.run(source, [({}, {})])
    assert reply.value is None
    assert reply.error


def test_replaced_builtins_touch_only_the_call_itself(sandbox: SandboxClient) -> None:
    source = "import builtins, json\ndef grade(sample, item):\n    builtins.float = None\n    json.dumps = None\n    return 1.0"
    sandbox.run(source, [({}, {})])
    assert sandbox.run("def grade(sample, item): return float('nan')", [({}, {})])[0].value is not None
