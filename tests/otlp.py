"""A receiver of OpenTelemetry's traces: OTLP over HTTP, as protobuf."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse


@dataclass(frozen=True)
class ReceivedSpan:
    """A span as it came."""

    service: str
    name: str
    trace: bytes
    id: bytes
    parent: bytes
    """Empty for the first of a trace."""
    begin: int
    end: int
    attributes: dict[str, str | int]
    raw: bytes


@dataclass
class Receiver:
    """What was sent to `endpoint` so far."""

    endpoint: str
    spans: list[ReceivedSpan] = field(default_factory=list)

    def take(self, body: bytes) -> None:
        """Keep the spans of one request."""
        for group in ExportTraceServiceRequest.FromString(body).resource_spans:
            service = next(pair.value.string_value for pair in group.resource.attributes if pair.key == "service.name")
            for span in (span for scope in group.scope_spans for span in scope.spans):
                attributes = {pair.key: pair.value.string_value or pair.value.int_value for pair in span.attributes}
                self.spans.append(
                    ReceivedSpan(
                        service,
                        span.name,
                        span.trace_id,
                        span.span_id,
                        span.parent_span_id,
                        span.start_time_unix_nano,
                        span.end_time_unix_nano,
                        attributes,
                        span.SerializeToString(),
                    )
                )

    def below(self, parent: ReceivedSpan) -> list[ReceivedSpan]:
        """The spans right below another, in order of their begin."""
        return sorted((span for span in self.spans if span.parent == parent.id), key=lambda span: span.begin)


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver on a free port."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.path == "/v1/traces":
                receiver.take(body)
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(200)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver = Receiver(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
