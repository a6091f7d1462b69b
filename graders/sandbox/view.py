"""The file tree of a sandboxed process: an empty one with a few of the machine's files bound into it, read-only."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence

from graders.sandbox import kernel

SCRATCH = "/scratch"
_DEVICES = ("null", "zero", "full", "random", "urandom")
DEVICES = tuple(f"/dev/{name}" for name in _DEVICES)
_MAX_LINKS = 40
_USER_LINE = "grader:x:{uid}:{gid}::/scratch:/bin/false\n"


def enter(paths: Sequence[str], mount_point: str, uid: int, gid: int) -> int | None:
    """Make a tree with these files the root, by the first process of new mount and process namespaces. Raises `OSError`.

    Returns a descriptor of a procfs of the new process ids that is in no tree; None where a container forbids to mount one.
    """
    kernel.mount("none", "/", None, kernel.MS_REC | kernel.MS_PRIVATE)
    kernel.mount("tmpfs", mount_point, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "mode=755,size=1m,nr_inodes=4096")
    for path in paths:
        _show(mount_point, path)
    for path in DEVICES:
        _bind(path, mount_point + path, kernel.MOUNT_ATTR_NOSUID | kernel.MOUNT_ATTR_NOEXEC)
    _write(f"{mount_point}/etc/passwd", _USER_LINE.format(uid=uid, gid=gid))
    _write(f"{mount_point}/etc/group", f"grader:x:{gid}:\n")
    for directory in (SCRATCH, "/proc"):
        os.makedirs(mount_point + directory)
    kernel.mount("tmpfs", mount_point + SCRATCH, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "mode=711,size=64k,nr_inodes=4096")
    proc = _hidden_procfs(f"{mount_point}/proc")
    kernel.make_root(mount_point)
    kernel.restrict_mount("/", kernel.MOUNT_ATTR_RDONLY, recursive=False)
    return proc


def mount_scratch(directory: str, size: int, inodes: int, uid: int, gid: int) -> None:
    """An empty file system of its own, bounded in bytes and in files. Raises `OSError`."""
    os.mkdir(directory)
    options = f"mode=700,size={size},nr_inodes={inodes},uid={uid},gid={gid}"
    kernel.mount("tmpfs", directory, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC, options)


def _hidden_procfs(place: str) -> int | None:
    try:
        kernel.mount("proc", place, "proc", kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC)
    except OSError:
        return None
    handle = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    kernel.unmount(place)
    return handle


def _show(root: str, path: str) -> None:
    """Bind a path under the new root, with every symbolic link on the way as it stands on the machine."""
    pending = path.strip("/").split("/")
    place, links = "", 0
    while pending:
        name = pending.pop(0)
        if name in ("", "."):
            continue
        if name == "..":
            place = os.path.dirname(place)
            continue
        inner = f"{place}/{name}"
        if stat.S_ISLNK(os.lstat(inner).st_mode):
            links += 1
            if links > _MAX_LINKS:
                return
            target = os.readlink(inner)
            _make_link(target, root + inner)
            pending = target.strip("/").split("/") + pending
            place = "" if target.startswith("/") else place
        else:
            place = inner
            if pending:
                os.makedirs(root + inner, mode=0o755, exist_ok=True)
    _bind(place, root + place, kernel.MOUNT_ATTR_RDONLY | kernel.MOUNT_ATTR_NOSUID | kernel.MOUNT_ATTR_NODEV)


def _make_link(target: str, link: str) -> None:
    if not os.path.lexists(link):
        os.makedirs(os.path.dirname(link), mode=0o755, exist_ok=True)
        os.symlink(target, link)


def _bind(source: str, target: str, attributes: int) -> None:
    if os.path.isdir(source):
        os.makedirs(target, mode=0o755, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), mode=0o755, exist_ok=True)
        if os.path.exists(target):
            return  # Already there, in a directory that was bound before.
        _write(target, "")
    kernel.mount(source, target, None, kernel.MS_BIND | kernel.MS_REC)
    kernel.restrict_mount(target, attributes)


def _write(path: str, text: str) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write(text)
