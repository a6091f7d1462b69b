from __future__ import annotations

import io
import tarfile
from functools import partial
from pathlib import Path

import pytest

from core.tar import Member, archive, archive_size, directory_members

LONG = "a" * 90 + "/" + "b" * 120 + ".safetensors"


def member(name: str, content: bytes) -> Member:
    return Member(name, len(content), partial(iter, [content]))


@pytest.mark.parametrize(
    "contents", [{}, {"a": b""}, {"a": b"x" * 511, "b": b"x" * 512, "c/d": b"x" * 513}, {LONG: b"1", "ä": b"2"}]
)
def test_an_archive_holds_its_members_and_has_the_promised_size(contents: dict[str, bytes]) -> None:
    members = [member(name, content) for name, content in contents.items()]
    raw = b"".join(archive(members))
    assert len(raw) == archive_size(members)
    with tarfile.open(fileobj=io.BytesIO(raw)) as opened:
        assert {entry.name: opened.extractfile(entry).read() for entry in opened} == contents


def test_a_directory_gives_its_files_and_no_links(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b").write_bytes(b"2")
    (tmp_path / "a").write_bytes(b"1")
    (tmp_path / "link").symlink_to("/etc/passwd")
    found = [(found.name, b"".join(found.read())) for found in directory_members(tmp_path)]
    assert found == [("a", b"1"), ("sub/b", b"2")]
