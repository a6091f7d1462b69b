"""The pages' files: read from the package once, and served from memory with their compressed form.

Their address holds a digest of them all, so that browsers may keep them for ever and still never mix two versions.
"""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
import re
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from importlib.resources import files
from importlib.resources.abc import Traversable

from fastapi import Request
from fastapi.responses import Response

PLOTLY = "plotly.min.js"
_INDEX = "index.html"
_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
_FOR_EVER = "public, max-age=31536000, immutable"
_STYLE = re.compile(rb'getElementById\("([0-9a-f]{64})"\)\)\{var \w+=document\.createElement\("style"\)')
"""Where Plotly's script looks whether its maps' style element is there already, to make it otherwise."""
_SMALL = 1024
"""Bytes below which compressing gains nothing."""


@dataclass(frozen=True)
class Asset:
    """A file as it is sent."""

    body: bytes
    compressed: bytes | None
    media_type: str
    tag: str

    @classmethod
    def of(cls, name: str, body: bytes) -> Asset:
        """The file of this name and content."""
        suffix = name[name.rfind(".") :]
        media_type = _TYPES.get(suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
        compressed = gzip.compress(body, 6, mtime=0) if len(body) >= _SMALL else None
        return cls(body, compressed, media_type, f'"{hashlib.sha256(body).hexdigest()[:32]}"')

    def reply(self, request: Request, cache_control: str = _FOR_EVER) -> Response:
        """The reply to a request for it: 304 where the browser has it already."""
        headers = {"etag": self.tag, "cache-control": cache_control, "vary": "accept-encoding"}
        if self.tag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        if self.compressed is not None and "gzip" in request.headers.get("accept-encoding", ""):
            return Response(self.compressed, media_type=self.media_type, headers={**headers, "content-encoding": "gzip"})
        return Response(self.body, media_type=self.media_type, headers=headers)


@dataclass(frozen=True)
class Assets:
    """All files of the dashboard by their path below `static/`, and the page that loads them."""

    version: str
    files: dict[str, Asset]
    index: Asset


@lru_cache(maxsize=1)
def assets() -> Assets:
    """The files of the installed package."""
    contents = dict(_contents(files("api.dashboard") / "static", ""))
    index = contents.pop(_INDEX).decode()
    digest = hashlib.sha256(b"\0".join(name.encode() + b"\0" + body for name, body in sorted(contents.items())))
    tag = digest.hexdigest()[:16]
    page = index.replace("{{assets}}", f"/dashboard/assets/{tag}").replace("{{plotly}}", plotly_path())
    page = page.replace("{{plotly-style}}", _style_of_maps())
    return Assets(tag, {name: Asset.of(name, body) for name, body in contents.items()}, Asset.of(_INDEX, page.encode()))


@lru_cache(maxsize=1)
def plotly() -> Asset:
    """Plotly's script, from the installed `plotly` package. The first call compresses it, which takes a fraction of a second."""
    return Asset.of(PLOTLY, _script_of_plotly())


def _script_of_plotly() -> bytes:
    return (files("plotly") / "package_data" / PLOTLY).read_bytes()


def _style_of_maps() -> str:
    """The id of the style element that Plotly's script would make for maps, which no page has.

    An element of that id keeps it from doing so: the content security policy would refuse the element, with a line in the
    browser's console. Where a version of the script has no such place the id means nothing.
    """
    found = _STYLE.search(_script_of_plotly())
    return found[1].decode() if found else "no-style-of-maps"


def plotly_path() -> str:
    """Where `plotly` is served."""
    return f"/dashboard/vendor/{version('plotly')}/{PLOTLY}"


def _contents(directory: Traversable, prefix: str) -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    for entry in directory.iterdir():
        if entry.is_dir():
            found += _contents(entry, f"{prefix}{entry.name}/")
        elif entry.name.endswith((".html", ".js", ".css", ".svg")):
            found.append((prefix + entry.name, entry.read_bytes()))
    return found
