"""A multipart form taken in piece by piece: however large its file, no more than one chunk of it is in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from core.errors import InvalidRequest

MAX_FIELD_BYTES = 4096
MAX_PARTS = 16
MAX_HEADERS = 8
"""Header lines of one part."""
MAX_HEADER_BYTES = 4096
"""Bytes of one header line."""
MAX_OVERHEAD_BYTES = 64 * 1024
"""What all else may take beside the file: boundaries, headers, fields, and what stands before the first boundary."""


class InvalidForm(InvalidRequest):
    """The body is no multipart form, or ends before its closing boundary."""

    code = "invalid_multipart"


@dataclass
class _Part:
    """A part whose headers have been read."""

    name: str
    filename: str | None


@dataclass(frozen=True)
class _End:
    """A part's last byte has come."""


@dataclass
class _Events:
    """What the parser's callbacks have seen and the reader has not yet taken."""

    queue: deque[_Part | bytes | _End] = field(default_factory=deque)
    header_name: bytes = b""
    header_value: bytes = b""
    disposition: bytes = b""
    closed: bool = False


class MultipartForm:
    """Reads a form with at most one file, in the order of its parts.

    `open_file` goes up to the file's first byte, `file_chunks` over it, `close` over what follows; `fields` grows meanwhile.
    All of them raise `InvalidForm` where the body does not keep to its boundary, and pass on what `chunks` raises.
    """

    def __init__(self, content_type: str, chunks: Iterable[bytes], *, file_field: str) -> None:
        self.fields: dict[str, str] = {}
        self._file_field = file_field
        self._chunks = iter(chunks)
        self._events = _Events()
        self._parts = 0
        self._overhead = 0
        self._parser = _parser(content_type, self._events)

    def open_file(self) -> str | None:
        """Collect fields up to the file; returns its name (empty where the client gave none), or None where no file comes."""
        while (part := self._next_part()) is not None:
            if part.name == self._file_field:
                return part.filename or ""
            self._read_field(part)
        return None

    def file_chunks(self) -> Iterator[bytes]:
        """The bytes of the open file."""
        while not isinstance(piece := self._take(), _End):
            if isinstance(piece, bytes) and piece:
                yield piece

    def close(self) -> None:
        """Collect the fields after the file."""
        while (part := self._next_part()) is not None:
            if part.name == self._file_field:
                raise InvalidForm("The form holds more than one file.", param=self._file_field)
            self._read_field(part)

    def _next_part(self) -> _Part | None:
        piece = self._take()
        if piece is None:
            return None
        assert isinstance(piece, _Part), "parts are read to their end"
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise InvalidForm(f"The form has more than {MAX_PARTS} parts.")
        return piece

    def _read_field(self, part: _Part) -> None:
        value = bytearray()
        for piece in self.file_chunks():
            value += piece
            if len(value) > MAX_FIELD_BYTES:
                raise InvalidForm(f"The field '{part.name}' is longer than {MAX_FIELD_BYTES} bytes.", param=part.name)
        self.fields[part.name] = value.decode("utf-8", "replace")

    def _take(self) -> _Part | bytes | _End | None:
        """The next event; None once the form is complete."""
        while not self._events.queue:
            if self._events.closed:
                return None
            chunk = next(self._chunks, None)
            if chunk is None:
                raise InvalidForm("The multipart body ends before its closing boundary.", param=self._file_field)
            self._parse(chunk)
        return self._events.queue.popleft()

    def _parse(self, chunk: bytes) -> None:
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise InvalidForm(f"The multipart body cannot be read: {error}.", param=self._file_field) from None
        self._overhead += len(chunk) - sum(len(piece) for piece in self._events.queue if isinstance(piece, bytes))
        if self._overhead > MAX_OVERHEAD_BYTES and not self._events.closed:
            message = f"The multipart body has more than {MAX_OVERHEAD_BYTES} bytes beside the content of its parts."
            raise InvalidForm(message, param=self._file_field)


def not_empty(chunks: Iterator[bytes], param: str) -> Iterator[bytes]:
    """The chunks; raises `InvalidRequest` where there is none."""
    first = next(chunks, None)
    if first is None:
        raise InvalidRequest(f"The content of '{param}' is empty.", param=param, code="empty_file")
    yield first
    yield from chunks


def _parser(content_type: str, events: _Events) -> MultipartParser:
    kind, options = parse_options_header(content_type)
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        message = "Expected a body of type multipart/form-data with a boundary."
        raise InvalidForm(message, param="file")

    def on_header_end() -> None:
        if events.header_name.lower() == b"content-disposition":
            events.disposition = events.header_value
        events.header_name = events.header_value = b""

    def on_header_field(data: bytes, start: int, end: int) -> None:
        events.header_name += data[start:end]

    def on_header_value(data: bytes, start: int, end: int) -> None:
        events.header_value += data[start:end]

    def on_headers_finished() -> None:
        _, parameters = parse_options_header(events.disposition)
        filename = parameters.get(b"filename")
        events.disposition = b""
        name = parameters.get(b"name", b"").decode("utf-8", "replace")
        events.queue.append(_Part(name, None if filename is None else filename.decode("utf-8", "replace")))

    def on_end() -> None:
        events.closed = True

    try:
        return MultipartParser(
            boundary,
            {
                "on_header_field": on_header_field,
                "on_header_value": on_header_value,
                "on_header_end": on_header_end,
                "on_headers_finished": on_headers_finished,
                "on_part_data": lambda data, start, end: events.queue.append(data[start:end]),
                "on_part_end": lambda: events.queue.append(_End()),
                "on_end": on_end,
            },
            max_header_count=MAX_HEADERS,
            max_header_size=MAX_HEADER_BYTES,
        )
    except FormParserError as error:
        raise InvalidForm(f"The boundary cannot be used: {error}.", param="file") from None
