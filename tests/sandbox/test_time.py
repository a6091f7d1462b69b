"""Nothing lasts longer than it may."""

from __future__ import annotations

import pytest

from graders.base import Program
from graders.sandbox.client import SandboxClient
from tests.sandbox.attempts import attempt

LOOPS = {
    "a loop": "while True: pass",
    "a loop in C": "sum(range(10 ** 12))",
    "a regular expression": "import re; re.match(r'(a+)+$', 'a' * 60 + 'b')",
    "a sleep": "time.sleep(600)",
    "a loop that catches all": "while True:\n        try:\n            while True: pass\n        except BaseException: pass",
    "no signals": "signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\n    while True: pass",
    "a stop": "os.kill(os.getpid(), signal.SIGSTOP)\n    time.sleep(600)",
    "a read": "r, w = os.pipe()\n    os.read(r, 1)",
    "a number": "10 ** 10 ** 9",
}


@pytest.mark.parametrize("loop", LOOPS)
def test_an_endless_call_is_stopped(hasty: SandboxClient, loop: str) -> None:
    assert attempt(hasty, LOOPS[loop], "return 1.0").error == "grade ran longer than 2 seconds and was stopped"


def test_a_thread_does_not_outlast_the_result(hasty: SandboxClient) -> None:
    lines = ("threading.Thread(target=time.sleep, args=(600,)).start()", "return 1.0")
    assert attempt(hasty, *lines).value == 1.0


@pytest.mark.parametrize(
    "after",
    [
        ("while True: pass",),
        # A limit of the kernel's ends it before we do, or it leaves in a hurry.
        ("import resource", "resource.setrlimit(resource.RLIMIT_CPU, (1, 1))", "while True: pass"),
        ("os._exit(3)",),
        # A frame that says how it ended, from itself.
        ("frame.f_globals['send'](frame.f_locals['channel'], {'status': 0, 'pid': 1, 'peak': 1})", "while True: pass"),
        ("os.write(frame.f_locals['channel'].fileno(), b'nonsense')", "while True: pass"),
    ],
    ids=["loop", "CPU limit", "exit", "forged end", "nonsense"],
)
def test_a_result_sent_early_does_not_buy_time(hasty: SandboxClient, after: tuple[str, ...]) -> None:
    """The channel and its nonce are in the call's own frames; who sends the result itself must still end."""
    lines = (
        "frame = sys._getframe()",
        "while 'channel' not in frame.f_locals: frame = frame.f_back",
        "frame.f_globals['send'](frame.f_locals['channel'], {'value': 1.0, 'nonce': frame.f_locals['request']['nonce']})",
    )
    reply = attempt(hasty, *lines, *after)
    assert (reply.value, reply.error) == (None, "the grader's process went on after its result and was stopped")


@pytest.mark.parametrize("loop", ["while True: pass", "import time; time.sleep(600)", "input()\nwhile True: pass"])
def test_an_endless_program_is_stopped(sandbox: SandboxClient, loop: str) -> None:
    [result] = sandbox.execute([Program(loop, stdin="x\n", seconds=0.5)])
    assert (result.timed_out, result.exit_code) == (True, None)


def test_what_a_stopped_program_has_printed_is_kept(sandbox: SandboxClient) -> None:
    [result] = sandbox.execute([Program("print('before', flush=True)\nwhile True: pass", seconds=1)])
    assert result.stdout == "before\n"


def test_time_is_reported(sandbox: SandboxClient) -> None:
    [result] = sandbox.execute([Program("import time; time.sleep(0.3)")])
    assert result.seconds >= 0.3


def test_stopping_one_leaves_the_others(hasty: SandboxClient) -> None:
    source = "import time\ndef grade(sample, item):\n    time.sleep(item['wait'])\n    return time.monotonic() > 0"
    replies = hasty.run(source, [({}, {"wait": wait}) for wait in (60, 0, 0.5, 60, 0)])
    assert [reply.value for reply in replies] == [None, True, True, None, True]
