from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.files.multipart import MAX_FIELD_BYTES, InvalidForm, MultipartForm

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
