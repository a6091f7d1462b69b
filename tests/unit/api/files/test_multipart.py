from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.files.multipart import MAX_FIELD_BYTES, MAX_HEADERS, MAX_OVERHEAD_BYTES, MAX_PARTS, InvalidForm, MultipartForm

CONTENT_TYPE = "multipart/form-data; boundary=edge"


def encoded(parts: list[tuple[str, bytes, str | None]]) -> bytes:
    body = b""
    for name, value, filename in parts:
        attribute = "" if filename is None else f'; filename="{filename}"'
        body += f'--edge\r\nContent-Disposition: form-data; name="{name}"{attribute}\r\n\r\n'.encode() + value + b"\r\n"
    return body + b"--edge--\r\n"


def read(body: bytes, size: int) -> tuple[str | None, bytes, dict[str, str]]:
    form = MultipartForm(CONTENT_TYPE, (body[at : at + size] for at in range(0, len(body), size)), file_field="file")
    filename = form.open_file()
    content = b"" if filename is None else b"".join(form.file_chunks())
    form.close()
    return filename, content, form.fields


@given(content=st.binary(max_size=300), size=st.integers(1, 64), file_first=st.booleans())
def test_a_form_is_the_same_however_it_is_cut(content: bytes, size: int, file_first: bool) -> None:
    parts = [("purpose", b"fine-tune", None), ("file", content, "a.jsonl")]
    body = encoded(parts[::-1] if file_first else parts)
    assert read(body, size) == ("a.jsonl", content, {"purpose": "fine-tune"})


@given(content=st.binary(max_size=100), cut=st.integers(1, 60))
def test_a_form_that_ends_early_is_refused(content: bytes, cut: int) -> None:
    body = encoded([("file", content, "a.jsonl")])
    with pytest.raises(InvalidForm):
        read(body[: -cut - 2], 16)


def test_a_form_without_a_file_has_only_fields() -> None:
    assert read(encoded([("purpose", b"x", None)]), 1000) == (None, b"", {"purpose": "x"})


def test_a_field_has_a_limit() -> None:
    with pytest.raises(InvalidForm):
        read(encoded([("purpose", b"x" * (MAX_FIELD_BYTES + 1), None)]), 1000)


def test_what_the_chunks_raise_passes_through() -> None:
    def broken():
        yield encoded([("file", b"x" * 100, "a.jsonl")])[:80]
        raise ConnectionError

    form = MultipartForm(CONTENT_TYPE, broken(), file_field="file")
    form.open_file()
    with pytest.raises(ConnectionError):
        list(form.file_chunks())


HEAD = b'--edge\r\nContent-Disposition: form-data; name="file"; filename="a.jsonl"\r\n'
BOMBS = {
    "headers without end": HEAD + b"X: y\r\n" * 100_000,
    "one header without end": HEAD + b"X: " + b"y" * 1_000_000,
    "a header's name without end": HEAD + b"X" * 1_000_000,
    "parts without end": b'--edge\r\nContent-Disposition: form-data; name="x"\r\n\r\n\r\n' * 100_000,
    "a preamble without end": b"\r\n" * 500_000,
    "a boundary without end": b"-" * 1_000_000,
    "a long boundary": b"--edge" + b" " * 1_000_000,
    "a part without a name": b"--edge\r\n\r\n" + b"x" * 1_000_000,
}


@pytest.mark.parametrize("size", [1000, 65_536])
@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_is_refused_before_it_is_read(bomb: str, size: int) -> None:
    body = BOMBS[bomb]
    taken = 0

    def chunks():
        nonlocal taken
        for at in range(0, len(body), size):
            taken += size
            yield body[at : at + size]

    form = MultipartForm(CONTENT_TYPE, chunks(), file_field="file")

    def read_all() -> None:
        if form.open_file() is not None:
            list(form.file_chunks())
            form.close()

    with pytest.raises(InvalidForm):
        read_all()
    assert taken <= MAX_OVERHEAD_BYTES + 2 * 65_536


def test_as_many_parts_and_headers_as_allowed_are_read() -> None:
    fields = [(f"n{number}", b"x" * MAX_FIELD_BYTES, None) for number in range(MAX_PARTS - 1)]
    body = encoded([*fields, ("file", b"content", "a.jsonl")])
    extra = b"X: y\r\n" * (MAX_HEADERS - 1)
    body = body.replace(b'filename="a.jsonl"\r\n', b'filename="a.jsonl"\r\n' + extra)
    filename, content, read_fields = read(body, 1000)
    assert (filename, content, len(read_fields)) == ("a.jsonl", b"content", MAX_PARTS - 1)
