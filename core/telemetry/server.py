"""`/metrics` and `/livez` of a process that speaks no HTTP otherwise: workers and schedulers, where `RFT_METRICS_PORT` is set."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

from core.settings import Settings
from core.telemetry.metrics import exposition
from core.telemetry.pulse import Pulse

log = logging.getLogger(__name__)

_TIMEOUT_SECONDS = 10.0


class MetricsServer:
    """Answers in threads of its own. It asks for no key: let only Prometheus and the probes reach its port."""

    def __init__(self, host: str, port: int, pulse: Pulse, collectors: Sequence[Collector] = ()) -> None:
        self._server = ThreadingHTTPServer((host, port), _handler(pulse, collectors))
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True).start()

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()


def serve_metrics(settings: Settings, pulse: Pulse, *collectors: Collector) -> MetricsServer | None:
    """The server of this process where the settings ask for one, with the figures of `collectors`.

    A port that is taken is logged: work goes on without it.
    """
    if settings.metrics_port is None:
        return None
    try:
        return MetricsServer(settings.metrics_host, settings.metrics_port, pulse, collectors)
    except OSError as error:
        log.error("no metrics: cannot listen on %s:%d: %s", settings.metrics_host, settings.metrics_port, error.strerror)
        return None


def _handler(pulse: Pulse, collectors: Sequence[Collector]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = _TIMEOUT_SECONDS

        def do_GET(self) -> None:
            """Answer the two paths."""
            if self.path == "/metrics":
                self._reply(200, CONTENT_TYPE_PLAIN_0_0_4, exposition(*collectors))
            elif self.path == "/livez":
                body = {"status": "ok" if pulse.alive else "failed", "looked_seconds_ago": round(pulse.age, 1)}
                self._reply(200 if pulse.alive else 503, "application/json", json.dumps(body).encode())
            else:
                self._reply(404, "text/plain", b"")

        def _reply(self, status: int, content_type: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("content-type", content_type)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Probes come every few seconds: they are not logged."""

    return Handler
