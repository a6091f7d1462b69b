"""A closed-loop load generator: some connections that each ask again as soon as they are answered.

Run as a process of its own (`python -m benchmarks.http_load KEY SECONDS < URLS`, one connection for each line of URLS), so that
it shares no interpreter with the server; prints one JSON object. HTTP is spoken by hand over asyncio: a full client would need
more of the machine than the servers it measures.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import cast
from urllib.parse import urlsplit

import uvloop


@dataclass(frozen=True)
class Load:
    """What a run measured: replies a second, latencies in milliseconds, replies other than 200."""

    throughput: float
    p50_ms: float
    p99_ms: float
    errors: int


class Connection(asyncio.Protocol):
    """One keep-alive connection. `latencies` are seconds, of every reply so far."""

    def __init__(self, request: bytes, *, again: bool) -> None:
        self._request = request
        self._again = again
        self._transport: asyncio.WriteTransport | None = None
        self._buffer = b""
        self._sent = 0.0
        self.latencies: list[float] = []
        self.errors = 0
        self.waiting = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)

    def ask(self) -> None:
        """Send the request; the reply's latency counts from here."""
        assert self._transport is not None
        self.waiting = True
        self._sent = time.perf_counter()
        self._transport.write(self._request)

    def waited(self) -> float:
        """Seconds since the request was sent."""
        return time.perf_counter() - self._sent

    def stop(self) -> None:
        """Ask no more."""
        self._again = False

    def close(self) -> None:
        assert self._transport is not None
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, mark, body = self._buffer.partition(b"\r\n\r\n")
        if not mark or len(body) < _content_length(head):
            return
        self._buffer = b""
        self.waiting = False
        self.latencies.append(time.perf_counter() - self._sent)
        self.errors += not head.startswith(b"HTTP/1.1 200")
        if self._again:
            self.ask()

    def connection_lost(self, _exc: Exception | None) -> None:
        """A connection that breaks while a reply is due is an error."""
        self.errors += self.waiting


def request_for(url: str, key: str) -> bytes:
    """A GET as OpenAI's client sends it, in its essential headers."""
    parts = urlsplit(url)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    return (
        f"GET {target} HTTP/1.1\r\nhost: {parts.netloc}\r\naccept: application/json\r\naccept-encoding: gzip, deflate\r\n"
        f"authorization: Bearer {key}\r\nuser-agent: OpenAI/Python 3.51.0\r\nx-stainless-lang: python\r\n"
        "x-stainless-retry-count: 0\r\nx-stainless-read-timeout: 600\r\nconnection: keep-alive\r\n\r\n"
    ).encode()


async def connect(url: str, key: str, *, again: bool) -> Connection:
    """A connection to the URL's host that will ask for it."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(
        lambda: Connection(request_for(url, key), again=again), parts.hostname, parts.port
    )
    return connection


def percentile(latencies: list[float], share: float) -> float:
    """The latency in milliseconds that `share` of the replies do not exceed."""
    ordered = sorted(latencies)
    return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]


async def closed_loop(urls: Sequence[str], key: str, seconds: float) -> Load:
    """Keep a connection to each URL busy for `seconds`."""
    clients = [await connect(url, key, again=True) for url in urls]
    begin = time.perf_counter()
    for client in clients:
        client.ask()
    await asyncio.sleep(seconds)
    latencies = [latency for client in clients for latency in client.latencies]
    elapsed = time.perf_counter() - begin
    for client in clients:
        client.stop()
        client.waiting = False
        client.close()
    errors = sum(client.errors for client in clients)
    return Load(len(latencies) / elapsed, percentile(latencies, 0.5), percentile(latencies, 0.99), errors)


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    raise ValueError(f"a reply without a length: {head!r}")


if __name__ == "__main__":
    _, key, seconds = sys.argv
    print(json.dumps(asdict(uvloop.run(closed_loop(sys.stdin.read().split(), key, float(seconds))))))
