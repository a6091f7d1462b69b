"""A bucket whose store is slow, busy, full or gone, and whose network drops what it likes."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.errors import CorruptObject, StorageFull, Unavailable
from core.storage import s3_calls
from core.storage.base import ObjectKey, ObjectStore
from core.storage.build import open_store
from core.storage.s3_reader import WINDOW_BYTES
from core.storage.s3_upload import PART_BYTES
from tests import s3
from tests.s3_proxy import PASSING, Fault, Proxy, Request, always, every, in_front_of, once

KEY = ObjectKey.of("proj", "files", "file-1")
LARGE = random.Random(0).randbytes(2 * PART_BYTES + 3)
ROOT = Path(__file__).parents[3]

SLOW_WRITER = f"""
import sys, time
from core.storage.base import ObjectKey
from core.storage.build import open_store

def chunks():
    for _ in range(4):
        yield b"x" * {PART_BYTES}
    print("sent", flush=True)
    time.sleep(600)

open_store(sys.argv[1]).put(ObjectKey.parse("{KEY}"), chunks())
"""


@pytest.fixture
def proxy(s3_endpoint: str, s3_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    with in_front_of(s3_endpoint) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
        yield proxy


@pytest.fixture
def store(proxy: Proxy, s3_url: str) -> ObjectStore:
    """Reached through the proxy."""
    return open_store(s3_url)


def unfinished(endpoint: str, url: str) -> int:
    """Multipart uploads that were begun in the bucket and not ended."""
    bucket = url.removeprefix("s3://").partition("/")[0]
    return len(s3.client(endpoint).list_multipart_uploads(Bucket=bucket).get("Uploads", ()))


def is_end_of_upload(request: Request) -> bool:
    return request.method == "POST" and "uploadId=" in request.path


@pytest.mark.parametrize("fault", PASSING, ids=lambda fault: fault.name)
def test_a_fault_that_passes_does_not_show_in_a_write(proxy: Proxy, store: ObjectStore, fault: Fault) -> None:
    proxy.rule = once(fault, lambda request: request.method == "PUT")
    store.put(KEY, [b"body"])
    assert b"".join(store.stream(KEY)) == b"body"


@pytest.mark.parametrize("fault", PASSING, ids=lambda fault: fault.name)
def test_a_fault_that_passes_does_not_show_in_a_read(proxy: Proxy, store: ObjectStore, fault: Fault) -> None:
    store.put(KEY, [b"body"])
    proxy.rule = once(fault, lambda request: request.method == "GET")
    assert b"".join(store.stream(KEY)) == b"body"


def test_a_large_object_gets_through_a_store_that_fails_every_third_call(proxy: Proxy, store: ObjectStore) -> None:
    proxy.rule = every(3)
    store.put(KEY, [LARGE])
    assert b"".join(store.stream(KEY)) == LARGE


@pytest.mark.parametrize("fault", [Fault.LOST_REPLY, Fault.SHORT_REPLY], ids=lambda fault: fault.name)
def test_an_upload_that_ended_without_a_reply_has_ended(proxy: Proxy, store: ObjectStore, fault: Fault) -> None:
    proxy.rule = once(fault, is_end_of_upload)
    store.put(KEY, [LARGE])
    assert b"".join(store.stream(KEY)) == LARGE


def test_keys_are_listed_by_pages_that_fail(proxy: Proxy, store: ObjectStore) -> None:
    keys = {ObjectKey.of("proj", f"file-{i}") for i in range(5)}
    for key in keys:
        store.put(key, [b"x"])
    proxy.rule = once(Fault.SHORT_REPLY, lambda request: request.method == "GET")
    assert set(store.list(ObjectKey.of("proj"))) == keys


def test_a_delete_whose_reply_was_lost_is_a_delete(proxy: Proxy, store: ObjectStore) -> None:
    store.put(KEY, [b"x"])
    proxy.rule = once(Fault.LOST_REPLY, lambda request: request.method == "DELETE")
    store.delete(KEY)
    with pytest.raises(KeyError):
        store.open(KEY)


def test_a_store_that_is_gone_is_unavailable(proxy: Proxy, store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_calls, "ATTEMPTS", 2)
    proxy.rule = always(Fault.RESET)
    with pytest.raises(Unavailable):
        store.put(KEY, [b"x"])


def test_attempts_are_bounded(proxy: Proxy, store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_calls, "ATTEMPTS", 3)
    proxy.rule = always(Fault.BUSY)
    with pytest.raises(Unavailable):
        store.put(KEY, [b"x"])
    assert len(proxy.seen) == 3


@pytest.mark.parametrize(("fault", "error"), [(Fault.DENIED, Unavailable), (Fault.FULL, StorageFull)])
def test_a_refusal_is_not_asked_for_twice(proxy: Proxy, store: ObjectStore, fault: Fault, error: type[Exception]) -> None:
    proxy.rule = always(fault)
    with pytest.raises(error):
        store.put(KEY, [b"x"])
    assert len(proxy.seen) == 1


def test_a_large_object_that_fails_leaves_no_part(
    proxy: Proxy, store: ObjectStore, s3_endpoint: str, s3_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy.rule = lambda request: Fault.FULL if "partNumber=2" in request.path else Fault.NONE
    with pytest.raises(StorageFull):
        store.put(KEY, [LARGE])
    assert unfinished(s3_endpoint, s3_url) == 0


def test_parts_that_could_not_be_dropped_are_swept(proxy: Proxy, store: ObjectStore, s3_endpoint: str, s3_url: str) -> None:
    proxy.rule = lambda request: Fault.FULL if "partNumber=2" in request.path or request.method == "DELETE" else Fault.NONE
    with pytest.raises(StorageFull):
        store.put(KEY, [LARGE])
    proxy.rule = always(Fault.NONE)
    assert store.sweep(min_age=0) == 1
    assert unfinished(s3_endpoint, s3_url) == 0


def test_parts_of_a_killed_writer_are_swept(store: ObjectStore, s3_endpoint: str, s3_url: str) -> None:
    writer = subprocess.Popen([sys.executable, "-c", SLOW_WRITER, s3_url], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert writer.stdout.readline() == "sent\n"
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    writer.stdout.close()
    assert list(store.list(ObjectKey.of("proj"))) == []
    assert store.sweep(min_age=0) == 1
    assert unfinished(s3_endpoint, s3_url) == 0


def test_a_sweep_leaves_other_prefixes_of_the_bucket_alone(store: ObjectStore, s3_endpoint: str, s3_url: str) -> None:
    bucket = s3_url.removeprefix("s3://").partition("/")[0]
    s3.client(s3_endpoint).create_multipart_upload(Bucket=bucket, Key="elsewhere/x")
    assert store.sweep(min_age=0) == 0


def test_a_reader_of_an_object_replaced_meanwhile_is_told(store: ObjectStore) -> None:
    store.put(KEY, [LARGE])
    with store.open(KEY) as source:
        store.put(KEY, [LARGE[::-1]])
        source.seek(WINDOW_BYTES)
        with pytest.raises(CorruptObject):
            source.read(1)


def test_a_reader_of_an_object_deleted_meanwhile_is_told(store: ObjectStore) -> None:
    store.put(KEY, [LARGE])
    with store.open(KEY) as source:
        store.delete(KEY)
        source.seek(WINDOW_BYTES)
        with pytest.raises(KeyError):
            source.read(1)


def test_a_reader_fetches_no_more_than_it_needs(proxy: Proxy, store: ObjectStore) -> None:
    store.put(KEY, [LARGE])
    proxy.seen.clear()
    with store.open(KEY) as source:
        source.seek(-10, 2)
        source.read()
    assert len(proxy.seen) == 2
