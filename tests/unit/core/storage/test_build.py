"""Which URLs name a store."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import InvalidRequest
from core.settings import Settings
from core.storage.base import ObjectKey
from core.storage.build import open_links, open_store

KEY = ObjectKey.of("a", "b")


def test_a_file_url_opens_its_directory(tmp_path: Path) -> None:
    open_store(f"file://{tmp_path}/objects").put(KEY, [b"x"])
    assert (tmp_path / "objects" / "a" / "b").read_bytes() == b"x"


def test_a_file_url_may_be_quoted(tmp_path: Path) -> None:
    open_store((tmp_path / "with space").as_uri()).put(KEY, [b"x"])
    assert (tmp_path / "with space" / "a" / "b").read_bytes() == b"x"


def test_the_default_of_the_settings_is_understood(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "is#this?100% ok")
    open_store(settings.object_store_url).put(KEY, [b"x"])
    assert (settings.data_dir / "objects" / "a" / "b").read_bytes() == b"x"


def test_opening_sweeps_what_dead_writers_left(tmp_path: Path) -> None:
    open_store(f"file://{tmp_path}")
    (tmp_path / ".tmp" / "left").write_bytes(b"x")
    open_store(f"file://{tmp_path}")
    assert list((tmp_path / ".tmp").iterdir()) == []


@pytest.mark.parametrize(
    "url",
    [
        "s3://",
        "s3:///prefix",
        "s3://bucket/../x",
        "s3://key:secret@bucket",
        "s3://bucket?region=x",
        "",
        "/var/lib/objects",
        "file:relative",
        "file://host/dir",
        "http://h/d",
        "file:///a#b",
        "file:///a?b",
    ],
)
def test_other_urls_are_refused_by_the_setting_s_name(url: str) -> None:
    with pytest.raises(InvalidRequest, match=r"RFT_OBJECT_STORE_URL: a directory such as"):
        open_store(url)


@pytest.mark.parametrize("endpoint", ["s3.example.com", "ftp://s3.example.com", "https://"])
def test_links_need_an_address(endpoint: str) -> None:
    settings = Settings(object_store_url="s3://bucket", presigned_downloads=True, presigned_endpoint=endpoint)
    with pytest.raises(InvalidRequest, match=r"RFT_PRESIGNED_ENDPOINT: an address"):
        open_links(settings)


@pytest.mark.parametrize(("url", "presigned"), [("s3://bucket", False), ("file:///objects", True)])
def test_nobody_is_sent_to_the_store_unasked(url: str, presigned: bool) -> None:
    assert open_links(Settings(object_store_url=url, presigned_downloads=presigned)) is None
