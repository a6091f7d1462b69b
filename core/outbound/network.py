"""Connections to checked addresses, under one budget of time and bytes for each request.

A timeout of each read would let a server that sends a byte now and then hold a thread for ever. So the budget of the request that
is under way in a thread is what every operation of its connection draws on.
"""

from __future__ import annotations

import select
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from time import monotonic
from typing import Any

import httpcore2

from core.outbound.addresses import is_public
from core.outbound.errors import OutboundFailed, OutboundRefused
from core.outbound.urls import is_address

CONNECT_SECONDS = 10.0
"""The longest wait for one of a name's addresses."""

Resolver = Callable[[str, int], Sequence[str]]
"""The addresses of a name; raises `OSError` where it has none."""


@dataclass
class Budget:
    """What is left of a request: until when (`time.monotonic`), and how many bytes of any kind may still come in."""

    deadline: float
    bytes: int
    received: int = 0

    def seconds(self) -> float:
        """The time left; raises `OutboundFailed` where there is none."""
        left = self.deadline - monotonic()
        if left <= 0:
            raise timed_out()
        return left

    def receive(self, count: int) -> None:
        """Take note of bytes that came in; raises `OutboundFailed` where they are too many."""
        self.received += count
        if self.received > self.bytes:
            raise OutboundFailed("too_large", "The reply is larger than allowed.")


_budget: ContextVar[Budget] = ContextVar("budget")


@contextmanager
def spending(budget: Budget) -> Iterator[None]:
    """What this thread does on connections inside the block draws on `budget`."""
    token = _budget.set(budget)
    try:
        yield
    finally:
        _budget.reset(token)


def timed_out() -> OutboundFailed:
    """The failure of a request whose time is over."""
    return OutboundFailed("timeout", "The other side took too long to answer.")


def disconnected() -> OutboundFailed:
    """The failure of a request whose connection ended before the reply did."""
    return OutboundFailed("disconnected", "The other side closed the connection before its reply was complete.")


class CheckedBackend(httpcore2.NetworkBackend):
    """Opens connections to exactly the addresses that were checked: a name is looked up once, and never again on the way."""

    def __init__(self, resolve: Resolver, *, allow_private: bool) -> None:
        self._resolve = resolve
        self._allow_private = allow_private

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002  the budget decides
        local_address: str | None = None,  # noqa: ARG002
        socket_options: Iterable[Any] | None = None,  # noqa: ARG002
    ) -> httpcore2.NetworkStream:
        """A connection to one of the host's addresses, tried in order; raises `OutboundRefused` where any is not public."""
        addresses = [host] if is_address(host) else self._look_up(host, port)
        if not self._allow_private and not all(is_public(address) for address in addresses):
            raise OutboundRefused("The URL's host is not at a public address.", param="url")
        return BudgetedStream(_connect(addresses, port))

    def _look_up(self, host: str, port: int) -> list[str]:
        # The system's look-up knows no timeout: it gets a thread of its own, which is left behind where it takes too long.
        found: Future[Sequence[str]] = Future()
        threading.Thread(target=_complete, args=(found, self._resolve, host, port), name="resolve", daemon=True).start()
        try:
            addresses = list(found.result(_budget.get().seconds()))
        except TimeoutError:
            raise timed_out() from None
        except (OSError, UnicodeError):
            addresses = []
        if not addresses:
            raise OutboundFailed("resolve", "The URL's host has no address.")
        return addresses


def system_resolver(host: str, port: int) -> list[str]:
    """The host's addresses in the system's order of preference, each once."""
    entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in entries))


def _complete(found: Future[Sequence[str]], resolve: Resolver, host: str, port: int) -> None:
    try:
        found.set_result(resolve(host, port))
    except (OSError, UnicodeError) as error:
        found.set_exception(error)


def _connect(addresses: Sequence[str], port: int) -> socket.socket:
    budget = _budget.get()
    for left, address in zip(range(len(addresses), 0, -1), addresses, strict=True):
        try:
            connection = socket.create_connection((address, port), timeout=min(CONNECT_SECONDS, budget.seconds() / left))
        except OSError:
            continue
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection
    raise OutboundFailed("connect", "Nothing accepts a connection at the URL's host and port.")


class BudgetedStream(httpcore2.NetworkStream):
    """A connection whose every operation ends with the budget of the request under way."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002  the budget decides
        """The next bytes, or none where the other side has closed."""
        budget = _budget.get()
        self._socket.settimeout(budget.seconds())
        try:
            data = self._socket.recv(max_bytes)
        except TimeoutError:
            raise timed_out() from None
        except OSError:
            raise disconnected() from None
        if not data and not budget.received:
            raise disconnected()
        budget.receive(len(data))
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002  the budget decides
        """Send all bytes."""
        rest = memoryview(buffer)
        while rest:
            self._socket.settimeout(_budget.get().seconds())
            try:
                rest = rest[self._socket.send(rest) :]
            except TimeoutError:
                raise timed_out() from None
            except OSError as error:
                # A server may have replied before it read all: its reply is looked for then.
                raise httpcore2.WriteError(str(error)) from None

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002  the budget decides
    ) -> httpcore2.NetworkStream:
        """The connection under TLS, with the certificate checked against the name of the URL."""
        try:
            # One timeout is for the whole handshake, not for each of its messages.
            self._socket.settimeout(_budget.get().seconds())
            # An end without TLS's own mark of it may be somebody's cut: it must not pass for the end of a reply.
            secured = ssl_context.wrap_socket(self._socket, server_hostname=server_hostname, suppress_ragged_eofs=False)
            return BudgetedStream(secured)
        except TimeoutError:
            self.close()
            raise timed_out() from None
        except (OSError, ValueError):
            self.close()
            raise OutboundFailed("tls", "No secure connection can be made to the URL's host.") from None

    def close(self) -> None:
        """Let go of the connection."""
        self._socket.close()

    def get_extra_info(self, info: str) -> Any:
        """Whether an idle connection has been closed by the other side, which then is readable."""
        if info != "is_readable":
            return None
        return _is_readable(self._socket)


def _is_readable(connection: socket.socket) -> bool:
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(0))
