"""A scripted server: a judge of OpenAI's shape, or a client's endpoint, that answers, stalls, floods and fails as a test says."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True)
class Asked:
    """A request that came in."""

    path: str
    headers: Mapping[str, str]
    raw: str

    @property
    def body(self) -> Json:
        """The JSON of the request."""
        return json.loads(self.raw)


@dataclass(frozen=True)
class Said:
    """A reply. `seconds` is the wait before it; `floods` sends the body for ever, `promises` a length that never comes."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    floods: bool = False
    promises: int | None = None


Script = Callable[[Asked], Said]


def completion(
    content: Any, *, finish_reason: str = "stop", refusal: str | None = None, usage: Json | None = None, seconds: float = 0.0
) -> Said:
    """A chat completion with this content."""
    counts = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18, "prompt_tokens_details": {"cached_tokens": 3}}
    message = {"role": "assistant", "content": content, "refusal": refusal}
    body = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 0,
        "model": "scripted",
        "choices": [{"index": 0, "message": message, "finish_reason": finish_reason}],
        "usage": counts if usage is None else usage,
    }
    return Said(json.dumps(body).encode(), seconds=seconds)


def verdict(result: Any, *, seconds: float = 0.0) -> Said:
    """A chat completion whose content keeps to the schema."""
    steps = [{"description": "read it", "conclusion": "it will do"}]
    return completion(json.dumps({"steps": steps, "result": result}), seconds=seconds)


def scored(score: Any) -> Said:
    """An endpoint's reply."""
    return Said(json.dumps({"score": score}).encode())


def error(status: int, message: str = "no", **headers: str) -> Said:
    """OpenAI's error envelope; names of headers with underscores."""
    body = {"error": {"message": message, "type": "server_error", "param": None, "code": None}}
    return Said(json.dumps(body).encode(), status, {name.replace("_", "-"): value for name, value in headers.items()})


def always(said: Said) -> Script:
    """The same reply to every request."""
    return lambda _asked: said


def in_turn(*replies: Said) -> Script:
    """One reply after the other, the last one for ever."""
    left, lock = list(replies), threading.Lock()

    def script(_asked: Asked) -> Said:
        with lock:
            return left.pop(0) if len(left) > 1 else left[0]

    return script


@dataclass
class Server:
    """A running server, its script (which a test may change), and what it was asked."""

    url: str
    script: Script
    asked: list[Asked] = field(default_factory=list)
    at_once: int = 0
    """Requests under way now."""
    most_at_once: int = 0
    ended: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)


@contextmanager
def serving(script: Script) -> Iterator[Server]:
    """A server on the loopback interface."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["content-length"])).decode()
            asked = Asked(self.path, {name.lower(): value for name, value in self.headers.items()}, raw)
            with server.lock:
                server.asked.append(asked)
                server.at_once += 1
                server.most_at_once = max(server.most_at_once, server.at_once)
            try:
                self._say(server.script(asked))
            except OSError:
                self.close_connection = True  # the other side has gone meanwhile
            finally:
                with server.lock:
                    server.at_once -= 1

        def _say(self, said: Said) -> None:
            server.ended.wait(said.seconds) if said.seconds else None
            self.send_response(said.status)
            for name, value in {"content-type": "application/json", **said.headers}.items():
                self.send_header(name, value)
            if said.floods:
                self._flood(said.body)
                return
            self.send_header("content-length", str(said.promises or len(said.body)))
            self.end_headers()
            self.wfile.write(said.body)

        def _flood(self, piece: bytes) -> None:
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            while not server.ended.is_set():
                self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")

        def log_message(self, *_arguments: object) -> None:
            pass

    class HttpServer(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 256

    http = HttpServer(("127.0.0.1", 0), Handler)
    server = Server(f"http://127.0.0.1:{http.server_port}", script)
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        server.ended.set()
        http.shutdown()
        thread.join()
        http.server_close()


def wait_until(what: Callable[[], bool], seconds: float = 60.0) -> None:
    """Until `what` is true; a hang has to end somehow."""
    give_up = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < give_up
        with suppress(InterruptedError):
            time.sleep(0.005)
