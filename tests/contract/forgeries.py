"""Programs that try to pass tests without the answer, which is 73577 and stands nowhere in them."""

from __future__ import annotations

FORGERIES = {
    "exit 0": "import sys\nsys.exit(0)",
    "os._exit 0": "import os\nos._exit(0)",
    "atexit": "import atexit, os\natexit.register(os._exit, 0)",
    "a line as the examiner prints it": """
import json, os
line = json.dumps({"results": [["test_it", None]], "calls": [], "pending": False}) + "\\n"
for descriptor in range(1, 20):
    try:
        os.write(descriptor, line.encode())
    except OSError:
        pass
""",
    "lines as the runner prints them": """
import os
for descriptor in range(1, 20):
    try:
        os.write(descriptor, b'{"status": "ok", "out": ""}\\n' * 9)
    except OSError:
        pass
""",
    "an object that equals everything": """
class Any:
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __sub__(self, other): return 0
def secret(x): return Any()
""",
    "a subclass that equals everything": """
class Any(int):
    def __eq__(self, other): return True
    __hash__ = int.__hash__
def secret(x): return Any(1)
""",
    "patched builtins": """
import builtins
builtins.abs = lambda x: 0
builtins.isinstance = lambda *a: True
builtins.AssertionError = OSError
def secret(x): return 0
""",
    "helpers of the tests": """
def close(a, b): return True
def abs(x): return 0
def secret(x): return 0
""",
    "a patched unittest": """
import unittest
unittest.TestCase.assertEqual = lambda *a: None
unittest.TestCase.assertTrue = lambda *a: None
def secret(x): return 0
""",
    "a walk over frames and objects": """
import gc, sys
def secret(x):
    needle = str(x * 12262 + 5)
    frame = sys._getframe().f_back
    while frame:
        for value in [*frame.f_globals.values(), *frame.f_locals.values()]:
            if needle in repr(value)[:100000]: return int(needle)
        frame = frame.f_back
    for thing in gc.get_objects():
        if isinstance(thing, (list, dict, tuple)) and needle in repr(thing)[:1000]: return int(needle)
""",
    "a search of what it can read": """
import os
needle = "".join(["73", "577"])
def secret(x):
    for top in (".", "/tmp", "/proc/self", "/dev/shm"):
        for folder, _, files in os.walk(top):
            for name in files:
                try:
                    with open(os.path.join(folder, name), "rb") as file:
                        if needle.encode() in file.read(1 << 20): return int(needle)
                except (OSError, ValueError):
                    pass
""",
    "standard input read again": """
import os, sys
needle = "".join(["73", "577"])
def secret(x):
    for descriptor in range(20):
        try:
            os.lseek(descriptor, 0, 0)
            if needle.encode() in os.read(descriptor, 1 << 20): return int(needle)
        except OSError:
            pass
""",
    "raising StopIteration": "def secret(x): raise StopIteration",
    "raising AssertionError": "def secret(x): raise AssertionError",
    "raising SystemExit": "def secret(x): raise SystemExit(0)",
    "not a number": "def secret(x): return float('nan')",
    "a name of the examiner's": """
def __discovering__(): return (BaseException,)
class Placeholder: pass
def secret(x): return Placeholder()
""",
    "a value nested beyond all depth": """
def secret(x):
    value = []
    for _ in range(100000): value = [value]
    return value
""",
    "a form of its own": """
import os
for descriptor in range(1, 20):
    try:
        os.write(descriptor, b'{"value": {"list": {"a": 1}}}\\n{"object": 7}\\n{"error": {"a": 1}}\\n[1]\\n')
    except OSError:
        pass
""",
}

FOOL_ONE_PROCESS = (
    "exit 0",
    "os._exit 0",
    "atexit",
    "an object that equals everything",
    "a patched unittest",
    "a walk over frames and objects",
    "a search of what it can read",
)
"""Forgeries that pass where a program and its tests share a process whose exit code is the verdict. The others aim at how this
service runs tests, or are what programs do by mistake."""
