"""Nothing goes from one call to the next, from one grader to another, or from one tenant to another."""

from __future__ import annotations

import pytest

from graders.base import Program
from graders.sandbox.client import SandboxClient
from graders.sandbox.levels import Level
from tests.sandbox.attempts import source

# What the source prepares while it loads, and what a call does with it: how often it was called so far.
MEMORIES = {
    "a global": ("seen = []", "seen.append(1); return len(seen) - 1"),
    "a file": ("", "n = len(os.listdir()); open(str(n), 'w'); return n"),
    "a file beside the scratch": ("", "n = len(os.listdir('..')); open('../%d' % n, 'w'); return n"),
    "a file of the loading": ("file = open('kept', 'w+')", "file.write('x'); file.flush(); return file.tell() - 1"),
    "its name": (
        "open('kept', 'w'); path = os.path.abspath('kept')",
        "open(path, 'a').write('x'); return os.path.getsize(path) - 1",
    ),
    "a pipe": ("r, w = os.pipe(); os.write(w, b'x')", "os.write(w, b'x'); return len(os.read(r, 99)) - 2"),
    "a pair of sockets": ("a, b = socket.socketpair()", "a.send(b'x'); return len(b.recv(99)) - 1"),
    "shared memory": ("m = mmap.mmap(-1, 1)", "m[0] += 1; return m[0] - 1"),
    "a memory file": ("m = os.memfd_create('x')", "os.write(m, b'x'); return os.fstat(m).st_size - 1"),
    "the environment": ("", "n = int(os.environ.get('N', 0)); os.environ['N'] = str(n + 1); return n"),
    "an imported module": ("", "sys.seen = getattr(sys, 'seen', -1) + 1; return sys.seen"),
    "the zygote's memory": ("seen = bytearray(1)", "open('/proc/%d/mem' % os.getppid(), 'r+b').write(b'x'); return 1"),
    "a process left behind": ("", "os.fork() or time.sleep(600); return 0"),
    "a semaphore": ("", "import multiprocessing as m; s = m.Semaphore(1); s.acquire(); return 1"),
    "a lock on a file": ("", "import fcntl; fcntl.lockf(open(os.__file__), fcntl.LOCK_SH); return 0"),
}


@pytest.mark.parametrize("memory", MEMORIES)
def test_a_call_knows_nothing_of_earlier_ones(sandbox: SandboxClient, memory: str) -> None:
    head, body = MEMORIES[memory]
    text = source(body, head=head)
    replies = [sandbox.run(text, [({}, {})])[0] for _ in range(3)]
    assert {reply.value for reply in replies} <= {0, None}


def test_calls_at_the_same_time_do_not_see_each_other(sandbox: SandboxClient) -> None:
    body = (
        "open('mark', 'w').write('x')",
        "time.sleep(0.3)",
        "here, found = os.getcwd(), 0",
        "for name in range(100):",
        "    there = os.path.join(os.path.dirname(here), str(name))",
        "    try: found += there != here and bool(open(there + '/mark').read())",
        "    except OSError: pass",
        "return found",
    )
    assert [reply.value for reply in sandbox.run(source(*body), [({}, {})] * 4)] == [0] * 4


HARM = """
def harm():
    for pid in [-1, 0, os.getppid(), *range(2, 60)]:
        if pid != os.getpid():
            try:
                os.kill(pid, 9)
            except OSError:
                pass
"""


def test_neighbours_are_not_harmed(sandbox: SandboxClient) -> None:
    text = source("if item['harms']: harm()", "time.sleep(0.3)", "return 1.0", head=HARM)
    replies = sandbox.run(text, [({}, {"harms": number % 2 == 1}) for number in range(6)])
    assert [reply.value for reply in replies[::2]] == [1.0, 1.0, 1.0]


def test_a_program_knows_nothing_of_earlier_ones(sandbox: SandboxClient) -> None:
    code = "import os, sys\nprint(len(os.listdir()), getattr(sys, 'seen', 0))\nsys.seen = 1\nopen('left', 'w')"
    assert [sandbox.execute([Program(code)])[0].stdout for _ in range(3)] == ["0 0\n"] * 3


def test_programs_do_not_see_graders_sources(sandbox: SandboxClient) -> None:
    sandbox.run("SECRET = 'the answer'\ndef grade(sample, item): return 1.0", [({}, {})])
    code = (
        "import gc, sys\nprint('grader' in sys.modules, any('the answer' == x for x in gc.get_objects() if isinstance(x, str)))"
    )
    assert sandbox.execute([Program(code)])[0].stdout == "False False\n"


def test_tenants_share_no_process() -> None:
    client = SandboxClient(level=Level.STRICT, parallel=1)
    text = "import os\nSTAMP = int.from_bytes(os.urandom(6))\ndef grade(sample, item): return STAMP"
    first, second = client.for_tenant("proj_a"), client.for_tenant("proj_b")
    stamps = [sandbox.run(text, [({}, {})])[0].value for sandbox in (first, second, first, second)]
    assert (stamps[0] == stamps[2], stamps[1] == stamps[3], stamps[0] == stamps[1]) == (True, True, False)
    client.close()
