"""The one client for requests to others."""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from time import monotonic

import httpcore2

from core.outbound.errors import OutboundFailed, OutboundRefused
from core.outbound.network import Budget, CheckedBackend, Resolver, disconnected, spending, system_resolver
from core.outbound.urls import target_of

KEEP_SECONDS = 4.0
"""How long an idle connection is kept: less than the five seconds after which common servers close theirs."""
KEEP_CONNECTIONS = 128
HEAD_BYTES = 256 * 1024
"""What a reply's head and informational replies may take beside its body; one head alone at most 100 kB."""
_FRAMING = 8
"""Bytes on the wire for a byte of the body at most: chunks of a single byte come with their own headers."""

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]{0,8192}")
_OURS = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Headers that frame a request on a connection, which other requests may share."""


@dataclass(frozen=True)
class Reply:
    """A whole reply. Names of headers are lower-case; the values of a repeated one are joined by commas."""

    status: int
    headers: Mapping[str, str]
    content: bytes


class Outbound:
    """Sends requests and reads replies, from any number of threads at once; connections are kept and used again.

    A redirect is a reply like any other, proxies of the environment are not used. `resolve` and `trust` replace the system's
    look-up of names and the certificates it trusts.
    """

    def __init__(
        self, *, allow_private: bool = False, resolve: Resolver = system_resolver, trust: ssl.SSLContext | None = None
    ) -> None:
        self._allow_private = allow_private
        self._pool = httpcore2.ConnectionPool(
            ssl_context=trust or httpcore2.default_ssl_context(),
            max_connections=None,
            max_keepalive_connections=KEEP_CONNECTIONS,
            keepalive_expiry=KEEP_SECONDS,
            network_backend=CheckedBackend(resolve, allow_private=allow_private),
        )

    def send(self, method: str, url: str, *, headers: Mapping[str, str], content: bytes, timeout: float, max_bytes: int) -> Reply:
        """The reply to a request, whatever its status, within `timeout` seconds for all of it.

        Raises `OutboundRefused` where the URL, an address of its host or a header is not allowed; `OutboundFailed` where no whole
        reply of at most `max_bytes` comes.
        """
        target = target_of(url, allow_private=self._allow_private)
        address = httpcore2.URL(scheme=target.scheme.encode(), host=target.host.encode(), port=target.port, target=target.path)
        sent = [(b"host", target.authority), (b"accept-encoding", b"identity"), *_checked(headers)]
        if content or method in ("POST", "PUT", "PATCH"):
            sent.append((b"content-length", str(len(content)).encode()))
        with spending(Budget(deadline=monotonic() + timeout, bytes=HEAD_BYTES + _FRAMING * max_bytes)):
            try:
                with self._pool.stream(method, address, headers=sent, content=content) as response:
                    return _read(response, max_bytes)
            except (httpcore2.ReadError, httpcore2.WriteError):
                raise disconnected() from None
            except httpcore2.ProtocolError:
                raise OutboundFailed("protocol", "The other side's reply is not valid HTTP.") from None

    def close(self) -> None:
        """Close the connections that are kept."""
        self._pool.close()


def _read(response: httpcore2.Response, max_bytes: int) -> Reply:
    headers = _headers(response)
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise OutboundFailed("encoding", "The reply is compressed, which was not asked for.")
    too_large = OutboundFailed("too_large", f"The reply is larger than {max_bytes} bytes.")
    promised = headers.get("content-length", "")
    if promised.isdecimal() and int(promised[:20]) > max_bytes:
        raise too_large
    content = bytearray()
    for chunk in response.iter_stream():
        content += chunk
        if len(content) > max_bytes:
            raise too_large
    return Reply(response.status, headers, bytes(content))


def _headers(response: httpcore2.Response) -> dict[str, str]:
    headers: dict[str, str] = {}
    for raw_name, raw_value in response.headers:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _checked(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    for name, value in headers.items():
        if not _TOKEN.fullmatch(name) or name.lower() in _OURS or not _VALUE.fullmatch(value):
            raise OutboundRefused("A header's name or value is not allowed.", param="headers", code="header_not_allowed")
    return [(name.encode(), value.strip().encode("latin-1")) for name, value in headers.items()]
