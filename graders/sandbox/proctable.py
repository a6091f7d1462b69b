"""The table of processes, read from a directory descriptor of a procfs."""

from __future__ import annotations

import os
from dataclasses import dataclass

_PAGE = os.sysconf("SC_PAGE_SIZE")
_PARENT, _THREADS, _RESIDENT = 1, 17, 21  # fields of `stat` after the name, counted from 0


@dataclass(frozen=True)
class Process:
    """One line of the table."""

    parent: int
    threads: int
    resident_bytes: int
    """Pages shared with others count in full."""


class ProcessTable:
    """Processes as a procfs shows them; its ids may not be those of this process's own namespace."""

    def __init__(self, proc: int) -> None:
        self._proc = proc
        self.own_pid = int(os.readlink("self", dir_fd=proc))
        self._depth = len(self._ids(self.own_pid))

    def read(self) -> dict[int, Process]:
        """All processes, by the procfs's ids. Those that end meanwhile are left out."""
        table: dict[int, Process] = {}
        with os.scandir(self._proc) as entries:
            for entry in entries:
                if entry.name.isdecimal():
                    process = self._process(entry.name)
                    if process is not None:
                        table[int(entry.name)] = process
        return table

    def memory_bytes(self, pid: int) -> int:
        """Memory in use now, shared pages divided among those who share them, if the kernel tells us that; else in full."""
        for line in self._text(f"{pid}/smaps_rollup").splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
        process = self._process(str(pid))
        return 0 if process is None else process.resident_bytes

    def _process(self, pid: str) -> Process | None:
        fields = self._text(f"{pid}/stat").rpartition(")")[2].split()
        if len(fields) <= _RESIDENT:
            return None
        parent, threads, resident = (int(fields[place]) for place in (_PARENT, _THREADS, _RESIDENT))
        return Process(parent, threads, resident * _PAGE)

    def as_seen_here(self, pid: int) -> int | None:
        """The id of a process in this process's own namespace; None if it has ended or is not in it."""
        ids = self._ids(pid)
        return ids[self._depth - 1] if len(ids) >= self._depth else None

    def _ids(self, pid: int) -> list[int]:
        for line in self._text(f"{pid}/status").splitlines():
            if line.startswith("NSpid:"):
                return [int(number) for number in line.split()[1:]]
        return []

    def _text(self, path: str) -> str:
        try:
            handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._proc)
        except OSError:
            return ""
        try:
            return os.read(handle, 1 << 16).decode("utf-8", "replace")
        except OSError:
            return ""
        finally:
            os.close(handle)


def descendants(table: dict[int, Process], root: int) -> list[int]:
    """All below a process, not itself."""
    children: dict[int, list[int]] = {}
    for pid, process in table.items():
        children.setdefault(process.parent, []).append(pid)
    found: list[int] = []
    pending = [root]
    while pending:
        below = children.get(pending.pop(), [])
        found += below
        pending += below
    return found
