"""Servers that answer as a test says, over real sockets."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

Answer = Callable[[socket.socket], None]
"""What is done with a connection after a request's head and body have been read from it."""


@dataclass
class Server:
    """A listening socket on the loopback interface, and what came in."""

    port: int
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"


@contextmanager
def serving(answer: Answer, wrap: Callable[[socket.socket], socket.socket] = lambda connection: connection) -> Iterator[Server]:
    """A server whose every connection reads requests and gives `answer` to each, until one of the two is closed."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = Server(listener.getsockname()[1])

    def serve(connection: socket.socket) -> None:
        with suppress(OSError), wrap(connection) as wrapped:
            while request := read_request(wrapped):
                server.requests.append(request)
                answer(wrapped)

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                server.connections += 1
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield server
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def read_request(connection: socket.socket) -> bytes:
    """The bytes of one request whose body has a length."""
    data = b""
    while b"\r\n\r\n" not in data:
        received = connection.recv(65536)
        if not received:
            return b""
        data += received
    head, _, body = data.partition(b"\r\n\r\n")
    length = 0
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def reply(content: bytes, status: str = "200 OK", headers: str = "") -> Answer:
    """An ordinary reply."""
    head = f"HTTP/1.1 {status}\r\ncontent-length: {len(content)}\r\n{headers}\r\n".encode()
    return lambda connection: connection.sendall(head + content)


def endless(begin: bytes, again: bytes, pause: float = 0.0) -> Answer:
    """A reply that never ends."""

    def answer(connection: socket.socket) -> None:
        connection.sendall(begin)
        waiting = threading.Event()
        while True:
            connection.sendall(again)
            if pause:
                waiting.wait(pause)

    return answer
