"""What every object store promises."""

from __future__ import annotations

import hashlib
import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.errors import TooLarge
from core.storage.base import ObjectKey, ObjectStore
from core.storage.build import open_store
from core.storage.s3_upload import PART_BYTES

KEY = ObjectKey.of("proj_a", "files", "file-1")


LARGE = 2 * PART_BYTES + 3
"""Bytes of an object that no store writes or reads with one request."""


@pytest.fixture(params=["local", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    url = (tmp_path / "objects").as_uri() if request.param == "local" else request.getfixturevalue("s3_url")
    return open_store(url)


def large(chunk_bytes: int = 1_000_003) -> Iterator[bytes]:
    """`LARGE` bytes that differ from place to place."""
    body = random.Random(0).randbytes(LARGE)
    return (body[start : start + chunk_bytes] for start in range(0, LARGE, chunk_bytes))


def read(store: ObjectStore, key: ObjectKey) -> bytes:
    with store.open(key) as source:
        return source.read()


def keys(store: ObjectStore, *prefix: str) -> set[str]:
    return {str(key) for key in store.list(ObjectKey.of(*prefix))}


def failing_after(*chunks: bytes) -> Iterator[bytes]:
    yield from chunks
    raise ConnectionResetError("the client went away")


def test_what_is_put_can_be_opened(store: ObjectStore) -> None:
    store.put(KEY, [b"one ", b"two"])
    assert read(store, KEY) == b"one two"


def test_put_tells_key_size_and_hash(store: ObjectStore) -> None:
    stored = store.put(KEY, [b"one ", b"", b"two"])
    assert (stored.key, stored.bytes, stored.sha256) == (KEY, 7, hashlib.sha256(b"one two").hexdigest())


def test_an_object_may_be_empty(store: ObjectStore) -> None:
    assert store.put(KEY, []).bytes == 0
    assert read(store, KEY) == b""


def test_a_large_object_comes_back_as_it_was(store: ObjectStore) -> None:
    store.put(KEY, large())
    assert b"".join(store.stream(KEY)) == b"".join(large())


def test_put_tells_size_and_hash_of_a_large_object(store: ObjectStore) -> None:
    stored = store.put(KEY, large())
    assert (stored.bytes, stored.sha256) == (LARGE, hashlib.sha256(b"".join(large())).hexdigest())


def test_a_reader_of_a_large_object_goes_where_it_is_sent(store: ObjectStore) -> None:
    store.put(KEY, large())
    body = b"".join(large())
    with store.open(KEY) as source:
        for place in (LARGE - 5, 3, LARGE // 2):
            source.seek(place)
            assert source.read(10) == body[place : place + 10]


def test_an_object_may_be_made_of_another(store: ObjectStore) -> None:
    store.put(KEY, large())
    other = ObjectKey.of("proj_a", "files", "file-2")
    store.put(other, store.stream(KEY))
    assert b"".join(store.stream(other)) == b"".join(large())


def test_a_reader_finds_lines_of_text(store: ObjectStore) -> None:
    store.put(KEY, [b"one\ntw", b"o\nthree"])
    with store.open(KEY) as source:
        assert list(source) == [b"one\n", b"two\n", b"three"]


def test_an_empty_object_has_a_reader_at_its_end(store: ObjectStore) -> None:
    store.put(KEY, [])
    with store.open(KEY) as source:
        assert source.read(1) == b""


def test_a_second_put_replaces_the_first(store: ObjectStore) -> None:
    store.put(KEY, [b"first and longer"])
    store.put(KEY, [b"second"])
    assert read(store, KEY) == b"second"


def test_a_reader_keeps_the_object_it_opened(store: ObjectStore) -> None:
    store.put(KEY, [b"first"])
    with store.open(KEY) as source:
        store.put(KEY, [b"second"])
        assert source.read() == b"first"


def test_stream_yields_chunks_of_the_asked_size(store: ObjectStore) -> None:
    store.put(KEY, [b"abcdefg"])
    assert list(store.stream(KEY, chunk_bytes=3)) == [b"abc", b"def", b"g"]


def test_opening_what_is_not_there_is_a_key_error(store: ObjectStore) -> None:
    with pytest.raises(KeyError):
        store.open(KEY)


def test_streaming_what_is_not_there_is_a_key_error(store: ObjectStore) -> None:
    with pytest.raises(KeyError):
        next(store.stream(KEY))


def test_a_prefix_is_no_object(store: ObjectStore) -> None:
    store.put(KEY, [b"x"])
    with pytest.raises(KeyError):
        store.open(ObjectKey.of("proj_a", "files"))


def test_nothing_is_below_an_object(store: ObjectStore) -> None:
    store.put(KEY, [b"x"])
    with pytest.raises(KeyError):
        store.open(KEY / "more")


def test_delete_removes_the_object(store: ObjectStore) -> None:
    store.put(KEY, [b"x"])
    store.delete(KEY)
    with pytest.raises(KeyError):
        store.open(KEY)


def test_delete_leaves_the_neighbours(store: ObjectStore) -> None:
    other = ObjectKey.of("proj_a", "files", "file-2")
    store.put(KEY, [b"x"])
    store.put(other, [b"y"])
    store.delete(KEY)
    assert read(store, other) == b"y"


def test_deleting_what_is_not_there_does_nothing(store: ObjectStore) -> None:
    store.delete(KEY)


def test_list_finds_all_depths_below_the_prefix_and_nothing_else(store: ObjectStore) -> None:
    for text in ("a/b/c", "a/b/d/e", "a/bb", "f/g"):
        store.put(ObjectKey.parse(text), [b"x"])
    assert keys(store, "a", "b") == {"a/b/c", "a/b/d/e"}


def test_list_of_an_unknown_prefix_is_empty(store: ObjectStore) -> None:
    assert keys(store, "nowhere") == set()


def test_an_object_tells_when_it_was_written(store: ObjectStore) -> None:
    earliest = time.time()
    store.put(KEY, [b"x"])
    assert earliest - 1 <= store.written_at(KEY) <= time.time() + 1


def test_what_is_not_there_was_never_written(store: ObjectStore) -> None:
    with pytest.raises(KeyError):
        store.written_at(KEY)


def test_exactly_max_bytes_are_accepted(store: ObjectStore) -> None:
    assert store.put(KEY, [b"abc", b"def"], max_bytes=6).bytes == 6


def test_one_byte_more_is_too_large(store: ObjectStore) -> None:
    with pytest.raises(TooLarge):
        store.put(KEY, [b"abc", b"def"], max_bytes=5)


def test_too_large_leaves_nothing(store: ObjectStore) -> None:
    with pytest.raises(TooLarge):
        store.put(KEY, [b"abc", b"def"], max_bytes=5)
    assert keys(store, "proj_a") == set()


def test_too_large_leaves_the_object_before(store: ObjectStore) -> None:
    store.put(KEY, [b"old"])
    with pytest.raises(TooLarge):
        store.put(KEY, [b"newer"], max_bytes=4)
    assert read(store, KEY) == b"old"


def test_too_large_stops_reading(store: ObjectStore) -> None:
    chunks = iter([b"abc", b"def", b"ghi"])
    with pytest.raises(TooLarge):
        store.put(KEY, chunks, max_bytes=5)
    assert list(chunks) == [b"ghi"]


def test_a_broken_source_is_passed_on(store: ObjectStore) -> None:
    with pytest.raises(ConnectionResetError):
        store.put(KEY, failing_after(b"half"))


def test_a_broken_source_leaves_nothing(store: ObjectStore) -> None:
    with pytest.raises(ConnectionResetError):
        store.put(KEY, failing_after(b"half"))
    assert keys(store, "proj_a") == set()


def test_a_broken_source_of_a_large_object_leaves_nothing_to_sweep(store: ObjectStore) -> None:
    with pytest.raises(ConnectionResetError):
        store.put(KEY, failing_after(*large()))
    assert (keys(store, "proj_a"), store.sweep(min_age=0)) == (set(), 0)


def test_a_large_object_past_the_limit_leaves_nothing_to_sweep(store: ObjectStore) -> None:
    with pytest.raises(TooLarge):
        store.put(KEY, large(), max_bytes=LARGE - 1)
    assert (keys(store, "proj_a"), store.sweep(min_age=0)) == (set(), 0)


def test_a_sweep_leaves_what_is_written(store: ObjectStore) -> None:
    store.put(KEY, large())
    store.sweep(min_age=0)
    assert keys(store, "proj_a") == {str(KEY)}


def test_an_object_is_invisible_until_it_is_whole(store: ObjectStore) -> None:
    seen: list[set[str]] = []

    def chunks() -> Iterator[bytes]:
        yield b"first half"
        seen.append(keys(store, "proj_a"))
        yield b"second half"

    store.put(KEY, chunks())
    assert seen == [set()]


def test_of_concurrent_writers_one_wins_whole(store: ObjectStore) -> None:
    bodies = [bytes([letter]) * 300_000 for letter in b"abcdefgh"]
    writers = [threading.Thread(target=store.put, args=(KEY, [body[:100_000], body[100_000:]])) for body in bodies]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert read(store, KEY) in bodies


@pytest.mark.parametrize(
    "text", ["", "..", ".", "a/../b", "/a", "a//b", "a/", "a\\b", "a\0b", "a\n", "ä", ".tmp/x", "a" * 129, "a b"]
)
def test_hostile_names_are_no_keys(text: str) -> None:
    with pytest.raises(ValueError, match="not an object key"):
        ObjectKey.parse(text)
