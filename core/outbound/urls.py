"""What a URL must look like to be called. What is parsed here is what is sent: no second parser can read it differently."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address

import httpx2

from core.outbound.addresses import is_public
from core.outbound.errors import OutboundRefused

MAX_URL = 2048
PUBLIC_PORTS = frozenset({443, 8443})
"""Where others' HTTPS lives. Any other port could be used to talk to what is no web server."""
_DEFAULT_PORTS = {"http": 80, "https": 443}
_VISIBLE = re.compile(r"[^\s\x00-\x20\x7f-\x9f\\]+")
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_LOCAL_NAMES = ("localhost", "local", "internal", "home.arpa")


@dataclass(frozen=True)
class Target:
    """A URL in the parts that a request is made of; `authority` is the value of the `Host` header."""

    scheme: str
    host: str
    port: int
    path: bytes
    authority: bytes


def check_url(url: str, *, allow_private: bool = False, param: str = "url") -> None:
    """Raises `OutboundRefused`, naming `param`, for a URL that can be seen to be none to call, without a look-up of its name.

    Allowed is `https` at port 443 or 8443, to a public address or a name that may have one; with `allow_private`, `http` and
    `https` at any port and address. What the name stands for is checked when a request is made.
    """
    target_of(url, allow_private=allow_private, param=param)


def target_of(url: str, *, allow_private: bool, param: str = "url") -> Target:
    """The parts of a URL that `check_url` accepts; raises as it does."""

    def refuse(reason: str) -> OutboundRefused:
        return OutboundRefused(f"Invalid value for '{param}': {reason}.", param=param)

    if len(url) > MAX_URL or not _VISIBLE.fullmatch(url):
        raise refuse(f"expected a URL of at most {MAX_URL} visible characters")
    try:
        parsed = httpx2.URL(url)
    except httpx2.InvalidURL:
        raise refuse("it is not a URL") from None
    scheme, host = parsed.scheme, parsed.raw_host.decode("ascii").lower()
    if scheme not in (_DEFAULT_PORTS if allow_private else ("https",)):
        raise refuse("the URL must begin with https://")
    if parsed.userinfo:
        raise refuse("the URL must hold no user name or password")
    port = parsed.port or _DEFAULT_PORTS[scheme]
    if parsed.port == 0 or port > 65535 or not (allow_private or port in PUBLIC_PORTS):
        raise refuse("the port must be 443 or 8443" if not allow_private else "there is no such port")
    problem = _problem_of(host, allow_private)
    if problem is not None:
        raise refuse(problem)
    return Target(scheme, host, port, parsed.raw_path, parsed.netloc)


def _problem_of(host: str, allow_private: bool) -> str | None:
    try:
        public = is_public(host)
    except ValueError:
        return _problem_of_name(host, allow_private)
    return None if public or allow_private else "its address is not a public one"


def _problem_of_name(host: str, allow_private: bool) -> str | None:
    if len(host) > 253 or not _NAME.fullmatch(host):
        return "it names no host"
    labels = host.rstrip(".").split(".")
    if _NUMBER.fullmatch(labels[-1]):
        return "an address must be written as four decimal numbers"
    if not allow_private and (len(labels) == 1 or any(f".{host.rstrip('.')}".endswith(f".{name}") for name in _LOCAL_NAMES)):
        return "its host is not a public one"
    return None


def is_address(host: str) -> bool:
    """Whether the host of a target is an address, and no name."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
