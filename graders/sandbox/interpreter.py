"""What of the machine's files an interpreter needs to run: all that a sandboxed process gets to see."""

from __future__ import annotations

import glob
import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

_START_SECONDS = 30.0
_ASK = """
import json, sys, sysconfig
import ctypes, hashlib, zlib
with open("/proc/self/maps") as maps:
    loaded = sorted({line.split(maxsplit=5)[5].strip() for line in maps if ".so" in line})
print(json.dumps({
    "executable": sys.executable, "prefix": sys.prefix, "base_prefix": sys.base_prefix,
    "paths": sysconfig.get_paths(), "sys_path": sys.path, "loaded": loaded,
}))
"""
_SHARED_PREFIXES = ("/usr", "/usr/local")
_OWN_CODE = Path(__file__).resolve().parents[1]
"""The package that the zygote is a module of."""


class NoInterpreter(Exception):
    """The interpreter of python graders does not start."""


@dataclass(frozen=True)
class Interpreter:
    """An interpreter and the absolute paths of the files and directories that it runs on."""

    executable: str
    paths: list[str]


def inspect(python: str) -> Interpreter:
    """Ask an interpreter for its standard library, packages and shared libraries. Raises `NoInterpreter`."""
    try:
        asked = subprocess.run(
            [python, "-s", "-P", "-c", _ASK],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_START_SECONDS,
            env={"LANG": "C.UTF-8"},
            check=True,
        )
        answer = json.loads(asked.stdout)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise NoInterpreter(f"the interpreter of python graders does not start: {python}") from error
    executable = answer["executable"]
    wanted = [executable, *_python_paths(answer), *_library_paths(answer["loaded"]), str(_OWN_CODE)]
    return Interpreter(executable, _outermost([path for path in wanted if os.path.exists(path)]))


def _python_paths(answer: dict[str, str | dict[str, str] | list[str]]) -> list[str]:
    prefix, base, paths, sys_path = (answer[key] for key in ("prefix", "base_prefix", "paths", "sys_path"))
    assert isinstance(prefix, str)
    assert isinstance(base, str)
    assert isinstance(paths, dict)
    wanted = [paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    # Other entries come from editable installs: somebody's working directory, with whatever lies there.
    wanted += [path for path in sys_path if Path(path).name in ("site-packages", "dist-packages", "lib-dynload")]
    for root in {prefix, base} - set(_SHARED_PREFIXES):
        wanted += [f"{root}/{name}" for name in ("lib", "share", "nltk_data", "pyvenv.cfg")]
    return wanted


def _library_paths(loaded: list[str]) -> list[str]:
    """The directories of the system's libraries as a whole, since extension modules load more of them than are loaded now."""
    system = {os.path.dirname(path) for path in loaded if path.startswith(("/usr/lib", "/lib")) and "site-packages" not in path}
    shallow = [path for path in system if Path(path).name != "lib-dynload" and path not in ("/usr/lib", "/lib")]
    found = [path for pattern in ("/lib64/ld-*", "/lib/ld-*") for path in glob.glob(pattern)]
    return [*shallow, *loaded, *found, "/etc/ld.so.cache", "/usr/share/zoneinfo", "/usr/lib/locale"]


def _outermost(paths: list[str]) -> list[str]:
    """Without those that lie in another one."""
    kept: list[str] = []
    for path in sorted(set(map(os.path.abspath, paths))):
        if not any(path.startswith(f"{outer}/") for outer in kept):
            kept.append(path)
    return kept
