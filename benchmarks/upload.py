"""What an upload of 512 MB costs: speed beside a plain file, and the memory of the API process.

Ours: `rft serve` as a process takes the file in over HTTP on the loopback; a multipart form is parsed, hashed, written, synced,
renamed, and named by a row. Peer: the same bytes from memory to a file in the same directory, with a running sha256 and one sync.
Both sides alternate; medians are compared. Memory is what the kernel saw at most in the API process, less what it had before this
first upload.
"""

from __future__ import annotations

import hashlib
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPResponse
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.check import Check

ROOT = Path(__file__).parents[1]
FILE_BYTES = 512 * 1024 * 1024
CHUNK_BYTES = 1 << 20
ROUNDS = 5
GROWTH_LIMIT_MIB = 64.0
SPEED_SHARE = 0.5
KEY = "sk-benchmark"
BOUNDARY = "a-boundary-of-the-benchmark"
_ROW = b'{"messages": [{"role": "user", "content": "What is 123 + 456? Answer with the number alone."}], "answer": "579"}\n'
CHUNK = (_ROW * (CHUNK_BYTES // len(_ROW) + 1))[:CHUNK_BYTES]


@dataclass(frozen=True)
class Api:
    """A served API."""

    host: str
    port: int
    process: subprocess.Popen[str]

    def upload(self, size: int) -> float:
        """Seconds from the request's first byte to the reply's last."""
        head = (
            f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nfine-tune\r\n'
            f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="rows.jsonl"\r\n\r\n'
        ).encode()
        tail = f"\r\n--{BOUNDARY}--\r\n".encode()
        with socket.create_connection((self.host, self.port)) as connection:
            begin = time.perf_counter()
            length = len(head) + size + len(tail)
            connection.sendall(
                f"POST /v1/files HTTP/1.1\r\nHost: {self.host}\r\nAuthorization: Bearer {KEY}\r\nContent-Length: {length}\r\n"
                f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n\r\n".encode()
                + head
            )
            for _ in range(size // CHUNK_BYTES):
                connection.sendall(CHUNK)
            connection.sendall(tail)
            reply = HTTPResponse(connection, method="POST")
            reply.begin()
            body = reply.read()
            seconds = time.perf_counter() - begin
        assert reply.status == 200, body
        return seconds

    def growth_mib(self, size: int) -> float:
        """The most resident memory during an upload, less that before it."""
        process = Path("/proc") / str(self.process.pid)
        (process / "clear_refs").write_text("5")  # the kernel's high-water mark begins anew
        before = _resident_kib(process, "VmRSS")
        self.upload(size)
        return (_resident_kib(process, "VmHWM") - before) / 1024


def run() -> list[Check]:
    """Memory against its limit, and the speed against `SPEED_SHARE` of a plain file's."""
    (ROOT / "build").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="upload-", dir=ROOT / "build") as scratch, _served(Path(scratch) / "data") as api:
        growth = api.growth_mib(FILE_BYTES)
        ours, peer = [], []
        for _ in range(ROUNDS):
            ours.append(api.upload(FILE_BYTES))
            peer.append(_written(Path(scratch) / "plain", FILE_BYTES))
    megabytes = FILE_BYTES / 1e6
    speed, plain = megabytes / statistics.median(ours), megabytes / statistics.median(peer)
    return [
        Check("memory", growth, GROWTH_LIMIT_MIB, "MiB", GROWTH_LIMIT_MIB / max(growth, 0.01)),
        Check("speed", speed, plain, "MB/s", speed / plain),
        Check("share_of_speed", speed / plain, SPEED_SHARE, "share", speed / plain / SPEED_SHARE),
    ]


def _written(path: Path, size: int) -> float:
    """Seconds for the bytes to be hashed, in a file, and on the disk."""
    begin = time.perf_counter()
    digest = hashlib.sha256()
    with path.open("wb", buffering=0) as target:
        for _ in range(size // CHUNK_BYTES):
            digest.update(CHUNK)
            target.write(CHUNK)
        os.fsync(target.fileno())
    digest.hexdigest()
    seconds = time.perf_counter() - begin
    path.unlink()
    return seconds


def _resident_kib(process: Path, name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB$", (process / "status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1])


@contextmanager
def _served(data: Path) -> Iterator[Api]:
    """`rft serve` with a data directory of its own; its worker has nothing to do."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("RFT_")},
        "RFT_DATA_DIR": str(data),
        "RFT_API_KEY": KEY,
        "RFT_MAX_FILE_BYTES": str(FILE_BYTES),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "cli.main", "serve", "--port", "0"], env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        address = urlsplit(process.stdout.readline().split()[1])
        yield Api(str(address.hostname), address.port or 0, process)
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()
