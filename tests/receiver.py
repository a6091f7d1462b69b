"""A web server that receives webhooks and answers as a test says."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Received:
    """A request that came in."""

    path: str
    headers: Mapping[str, str]
    body: str


@dataclass
class Receiver:
    """Where webhooks can be sent to, and what came. Every request gets the next of `answers`, the last one for ever."""

    url: str
    answers: list[Callable[[], tuple[int, dict[str, str]]]]
    received: list[Received] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, request: Received) -> tuple[int, dict[str, str]]:
        with self.lock:
            self.received.append(request)
            chosen = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return chosen()


def says(status: int, **headers: str) -> Callable[[], tuple[int, dict[str, str]]]:
    """An answer at once."""
    return lambda: (status, {name.replace("_", "-"): value for name, value in headers.items()})


def holds(until: threading.Event) -> Callable[[], tuple[int, dict[str, str]]]:
    """An answer that comes when a test lets it."""

    def answer() -> tuple[int, dict[str, str]]:
        until.wait()
        return 200, {}

    return answer


@contextmanager
def receiving(*answers: Callable[[], tuple[int, dict[str, str]]]) -> Iterator[Receiver]:
    """A server on the loopback interface that gives these answers (204 without any)."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            request = Received(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
            status, headers = receiver.answer(request)
            try:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", "0")
                self.end_headers()
            except OSError:
                self.close_connection = True  # the sender has gone meanwhile

        def log_message(self, *_arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    receiver = Receiver(f"http://127.0.0.1:{server.server_port}/hook", list(answers) or [says(204)])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
