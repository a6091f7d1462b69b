from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from cli.client import CommandFailed
from cli.download import extract


def tar_of(*members: tuple[tarfile.TarInfo, bytes]) -> io.BytesIO:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for info, content in members:
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    buffer.seek(0)
    return buffer


def entry(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def test_files_are_unpacked_with_their_contents(tmp_path: Path) -> None:
    extract(tar_of((entry("config.json"), b"{}"), (entry("model.safetensors"), b"\0" * 3000)), tmp_path)

    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        "config.json": b"{}",
        "model.safetensors": b"\0" * 3000,
    }


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a/b", ".hidden", "", "a\nb", "-rf", "a b"])
def test_other_names_than_plain_ones_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(CommandFailed):
        extract(tar_of((entry(name), b"x")), tmp_path / ".")

    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_other_things_than_files_are_refused(tmp_path: Path, kind: bytes) -> None:
    with pytest.raises(CommandFailed):
        extract(tar_of((entry("thing", kind, "/etc/passwd"), b"")), tmp_path)

    assert not list(tmp_path.iterdir())


def test_a_name_that_comes_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed):
        extract(tar_of((entry("a"), b"1"), (entry("a"), b"2")), tmp_path)


@pytest.mark.parametrize("content", [b"", b"no tar at all", b"x" * 2048])
def test_what_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(CommandFailed):
        extract(io.BytesIO(content), tmp_path)


def test_an_archive_that_breaks_off_is_refused(tmp_path: Path) -> None:
    whole = tar_of((entry("a"), b"x" * 5000)).getvalue()

    with pytest.raises(CommandFailed):
        extract(io.BytesIO(whole[:3000]), tmp_path)
