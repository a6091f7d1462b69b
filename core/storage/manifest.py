"""Directories kept as objects: every file a part, then `manifest.json` with the parts' sizes and hashes.

The manifest is written last and removed first, so whoever finds one finds all it names. It is read back strictly: its bytes must
be those that writing the same manifest would give, and a hash over its content stands in it, so no altered byte goes unnoticed.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from core.errors import CorruptObject
from core.failpoints import hit
from core.storage.base import ObjectKey, ObjectStore
from core.storage.local import LocalObjectStore

Json = dict[str, Any]

MANIFEST = "manifest.json"
MAX_MANIFEST_BYTES = 16 * 1024 * 1024
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Part:
    """One file: its path relative to the directory (`/` between segments), size and sha256 in hexadecimal."""

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What a directory held when it was written, sorted by name, and what its writer wanted to remember."""

    parts: tuple[Part, ...]
    extra: Json


def write(store: ObjectStore, prefix: ObjectKey, directory: Path, extra: Json) -> ObjectKey:
    """Store every file of `directory` below `prefix`, the manifest last; returns the manifest's key.

    Raises `ValueError` for what is neither file nor directory, for names that no object key can carry and for values in `extra`
    that are not JSON; otherwise what `ObjectStore.put` raises. Parts already written then stay, without a manifest.
    """
    names = _file_names(directory)
    extra = json.loads(_canonical(extra))
    parts = []
    for name in names:
        stored = store.put(part_key(prefix / MANIFEST, name), _read(directory / name))
        parts.append(Part(name, stored.bytes, stored.sha256))
        hit("between_parts" if len(parts) < len(names) else "before_manifest")
    return store.put(prefix / MANIFEST, [encode(Manifest(tuple(parts), extra))]).key


def read(store: ObjectStore, key: ObjectKey) -> Manifest:
    """The manifest at `key`; raises `CorruptObject` where it is missing or not byte for byte what was written."""
    try:
        with store.open(key) as source:
            raw = source.read(MAX_MANIFEST_BYTES + 1)
    except KeyError:
        raise CorruptObject(f"The manifest {key} is missing.") from None
    try:
        body = json.loads(raw)
        manifest = Manifest(tuple(Part(**part) for part in body["parts"]), body["extra"])
        intact = encode(manifest) == raw
    except (ValueError, TypeError, KeyError, RecursionError):
        intact = False
    if not intact:
        raise CorruptObject(f"The manifest {key} is damaged.")
    return manifest


def fetch(store: ObjectStore, key: ObjectKey, directory: Path) -> Manifest:
    """Bring all parts to `directory`, which must be missing or empty, and is complete and verified or untouched.

    Raises `CorruptObject` where the manifest or a part is missing or altered, `StorageFull` where the disk has no room.
    """
    manifest = read(store, key)
    directory.parent.mkdir(parents=True, exist_ok=True)
    staging = directory.with_name(f".{directory.name}.{secrets.token_hex(8)}")
    try:
        local = LocalObjectStore(staging / "parts")
        for part in manifest.parts:
            local.put(ObjectKey.parse(part.name), stream(store, key, part))
        (staging / "parts" / ".tmp").rmdir()
        (staging / "parts").rename(directory)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return manifest


def stream(store: ObjectStore, key: ObjectKey, part: Part) -> Iterator[bytes]:
    """The bytes of one part of the manifest at `key`; raises `CorruptObject`, at the latest after the last chunk."""
    digest = hashlib.sha256()
    size = 0
    try:
        for chunk in store.stream(part_key(key, part.name)):
            digest.update(chunk)
            size += len(chunk)
            if size > part.bytes:
                break
            yield chunk
    except KeyError:
        raise CorruptObject(f"Part {part.name} of {key} is missing.") from None
    if size != part.bytes or digest.hexdigest() != part.sha256:
        raise CorruptObject(f"Part {part.name} of {key} is not what was written.")


def delete(store: ObjectStore, key: ObjectKey) -> None:
    """Remove the manifest at `key`, then everything else below its prefix. Harmless to repeat after an interruption."""
    store.delete(key)
    for part in list(store.list(ObjectKey(key.segments[:-1]))):
        store.delete(part)


def part_key(key: ObjectKey, name: str) -> ObjectKey:
    """The object of the part `name` of the manifest at `key`; raises `ValueError` for names that no key can carry."""
    return ObjectKey((*key.segments[:-1], *name.split("/")))


def encode(manifest: Manifest) -> bytes:
    """The one byte form of a manifest: compact JSON with sorted keys, closed by a hash over all the rest."""
    body = {"extra": manifest.extra, "parts": [asdict(part) for part in manifest.parts]}
    digest = hashlib.sha256(_canonical(body)).hexdigest()
    return _canonical({**body, "sha256": digest})


def _canonical(value: Json) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def _file_names(directory: Path) -> list[str]:
    names = []
    for path in directory.rglob("*"):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise ValueError(f"neither a file nor a directory: {path}")
        if path.is_file():
            names.append(path.relative_to(directory).as_posix())
    if MANIFEST in names:
        raise ValueError(f"{MANIFEST} is the manifest's own name: {directory}")
    for name in names:
        ObjectKey.parse(name)
    return sorted(names)


def _read(path: Path) -> Iterator[bytes]:
    with path.open("rb") as source:
        while chunk := source.read(_CHUNK_BYTES):
            yield chunk
