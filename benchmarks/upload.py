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
import tempfile
import time
from dataclasses import dataclass
from http.client import HTTPResponse
from pathlib import Path

from benchmarks.check import Check
from benchmarks.service import KEY, ROOT, Service, served

FILE_BYTES = 512 * 1024 * 1024
CHUNK_BYTES = 1 << 20
ROUNDS = 5
GROWTH_LIMIT_MIB = 64.0
SPEED_SHARE = 0.5
BOUNDARY = "a-boundary-of-the-benchmark"
_ROW = b'{"messages": [{"role": "user", "content": "What is 123 + 456? Answer with the number alone."}], "answer": "579"}\n'
CHUNK = (_ROW * (CHUNK_BYTES // len(_ROW) + 1))[:CHUNK_BYTES]


@dataclass(frozen=True)
class Api:
    """A served API."""

    service: Service

    def upload(self, size: int) -> float:
        """Seconds from the request's first byte to the reply's last."""
        head = (
            f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nfine-tune\r\n'
            f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="rows.jsonl"\r\n\r\n'
        ).encode()
        tail = f"\r\n--{BOUNDARY}--\r\n".encode()
        host = self.service.host
        with socket.create_connection((host, self.service.port)) as connection:
            begin = time.perf_counter()
            length = len(head) + size + len(tail)
            connection.sendall(
                f"POST /v1/files HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {KEY}\r\nContent-Length: {length}\r\n"
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
        process = Path("/proc") / str(self.service.process.pid)
        (process / "clear_refs").write_text("5")  # the kernel's high-water mark begins anew
        before = _resident_kib(process, "VmRSS")
        self.upload(size)
        return (_resident_kib(process, "VmHWM") - before) / 1024


def run() -> list[Check]:
    """Memory against its limit, and the speed against `SPEED_SHARE` of a plain file's."""
    (ROOT / "build").mkdir(exist_ok=True)
    limit = {"RFT_MAX_FILE_BYTES": str(FILE_BYTES)}
    with (
        tempfile.TemporaryDirectory(prefix="upload-", dir=ROOT / "build") as scratch,
        served(Path(scratch) / "data", limit) as service,
    ):
        api = Api(service)
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
