"""A proxy in front of an S3 server that does to requests what networks and busy stores do to them."""

from __future__ import annotations

import http.client
import socket
import socketserver
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum
from http.server import BaseHTTPRequestHandler
from itertools import cycle
from urllib.parse import urlsplit


class Fault(Enum):
    """What may befall a request."""

    NONE = "passed on"
    SLOW = "passed on after a while"
    ERROR = "answered with 500"
    BUSY = "answered with 503, slow down"
    FULL = "answered with 507, no room"
    DENIED = "answered with 403"
    RESET = "connection reset before it is read"
    CUT = "connection reset in the middle of the body"
    LOST_REPLY = "carried out, connection reset in place of the reply"
    SHORT_REPLY = "carried out, connection reset in the middle of the reply"


REPLIES = {
    Fault.ERROR: (500, "InternalError"),
    Fault.BUSY: (503, "SlowDown"),
    Fault.FULL: (507, "XMinioStorageFull"),
    Fault.DENIED: (403, "AccessDenied"),
}
PASSING = (Fault.ERROR, Fault.RESET, Fault.BUSY, Fault.CUT, Fault.LOST_REPLY, Fault.SHORT_REPLY, Fault.SLOW)
"""Those after which the same request may succeed."""


@dataclass(frozen=True)
class Request:
    """What a rule sees of a request."""

    method: str
    path: str
    """With its query."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """By names in lower case."""


Rule = Callable[[Request], Fault]


def always(fault: Fault) -> Rule:
    """Every request has this fault."""
    return lambda request: fault


def every(period: int) -> Rule:
    """One request in `period` has a fault, each kind of `PASSING` in turn."""
    kinds = cycle([fault for kind in PASSING for fault in (*[Fault.NONE] * (period - 1), kind)])
    return lambda request: next(kinds)


def once(fault: Fault, condition: Callable[[Request], bool]) -> Rule:
    """The first request of this kind has the fault, and no other."""
    left = [fault]
    return lambda request: left.pop() if left and condition(request) else Fault.NONE


@dataclass
class Proxy:
    """An endpoint, and what happens to requests that reach it."""

    endpoint: str
    rule: Rule = field(default_factory=lambda: always(Fault.NONE))
    seen: list[Request] = field(default_factory=list)


@contextmanager
def in_front_of(endpoint: str) -> Iterator[Proxy]:
    """A proxy that lives as long as the block."""
    lock = threading.Lock()

    class Handler(_Handler):
        target = urlsplit(endpoint).netloc

        def fate(self, request: Request) -> Fault:
            with lock:
                proxy.seen.append(request)
                return proxy.rule(request)

    class Server(socketserver.ThreadingTCPServer):
        request_queue_size = 64
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        proxy = Proxy(f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield proxy
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    """One connection: one request, one fate."""

    target: str

    def fate(self, request: Request) -> Fault:
        raise NotImplementedError

    def handle(self) -> None:
        with suppress(ConnectionError):
            super().handle()

    def log_message(self, *_: object) -> None:
        pass

    def _serve(self) -> None:
        self.close_connection = True
        headers = {name.lower(): value for name, value in self.headers.items()}
        fault = self.fate(Request(self.command, self.path, headers))
        length = int(self.headers.get("content-length") or 0)
        if fault is Fault.RESET:
            return self._reset()
        if fault is Fault.CUT:
            self.rfile.read(length // 2)
            return self._reset()
        body = self.rfile.read(length)
        if fault in REPLIES:
            return self._answer(*REPLIES[fault])
        if fault is Fault.SLOW:
            time.sleep(0.2)
        return self._pass_on(body, fault)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _serve

    def _pass_on(self, body: bytes, fault: Fault) -> None:
        connection = http.client.HTTPConnection(self.target, timeout=30)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in ("connection", "expect")}
        try:
            connection.request(self.command, self.path, body=body, headers=headers)
            reply = connection.getresponse()
            content = reply.read()
        finally:
            connection.close()
        if fault is Fault.LOST_REPLY:
            return self._reset()
        self.send_response_only(reply.status)
        for name, value in reply.getheaders():
            if name.lower() not in ("connection", "transfer-encoding", "content-length"):
                self.send_header(name, value)
        size = reply.getheader("content-length") if self.command == "HEAD" else str(len(content))
        if size is not None:
            self.send_header("content-length", size)
        self.send_header("connection", "close")
        self.end_headers()
        if fault is Fault.SHORT_REPLY:
            self.wfile.write(content[: len(content) // 2])
            return self._reset()
        self.wfile.write(content)
        return None

    def _answer(self, status: int, code: str) -> None:
        content = b"" if self.command == "HEAD" else f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode()
        self.send_response_only(status)
        self.send_header("content-length", str(len(content)))
        self.send_header("connection", "close")
        self.end_headers()
        self.wfile.write(content)

    def _reset(self) -> None:
        """Close the connection so that the other side gets a reset and not an end."""
        self.wfile.flush()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
