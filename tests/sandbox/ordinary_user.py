"""Runs a command as a user without privileges, even where the interpreter or the checkout lies in root's own directories.

    python -m tests.sandbox.ordinary_user COMMAND...

As an ordinary user already: just runs it.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from graders.sandbox import kernel

UID = 65533
ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    command = sys.argv[1:]
    if os.getuid() == 0:
        kernel.unshare(kernel.CLONE_NEWNS)
        kernel.mount("none", "/", None, kernel.MS_REC | kernel.MS_PRIVATE)
        for path in {Path(sys.base_prefix), Path(sys.prefix), ROOT}:
            open_the_way_to(path)
        home = tempfile.mkdtemp()
        os.chown(home, UID, UID)
        os.environ.update(HOME=home, TMPDIR=home, USER="ordinary")
        os.setgroups([])
        os.setresgid(UID, UID, UID)
        os.setresuid(UID, UID, UID)
    os.execvp(command[0], command)


def open_the_way_to(path: Path) -> None:
    """In this mount namespace alone: a readable directory in the place of the first one that others may not enter."""
    for parent in reversed(path.parents):
        if not parent.stat().st_mode & 0o001:
            handle = os.open(path, os.O_PATH)
            kernel.mount("tmpfs", str(parent), "tmpfs", 0, "mode=755")
            path.mkdir(parents=True)
            kernel.mount(f"/proc/self/fd/{handle}", str(path), None, kernel.MS_BIND | kernel.MS_REC)
            return


if __name__ == "__main__":
    main()
