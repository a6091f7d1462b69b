"""No network of any kind."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from graders.sandbox.client import SandboxClient
from tests.sandbox.attempts import attempt

FAMILIES = ["AF_INET", "AF_INET6", "AF_UNIX", "AF_NETLINK", "AF_PACKET", "AF_VSOCK", "AF_ALG"]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("kind", ["SOCK_STREAM", "SOCK_DGRAM", "SOCK_RAW", "SOCK_SEQPACKET"])
def test_there_are_no_sockets(sandbox: SandboxClient, family: str, kind: str) -> None:
    reply = attempt(sandbox, f"socket.socket(socket.{family}, socket.{kind})", "return True")
    assert "PermissionError" in str(reply.error)


@pytest.mark.parametrize("address", ["127.0.0.1", "localhost", "::1", "0.0.0.0"])
def test_a_listener_of_this_machine_is_out_of_reach(sandbox: SandboxClient, address: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert attempt(sandbox, f"return bool(socket.create_connection(({address!r}, {port}), 2))").value is None


def test_names_are_not_looked_up(sandbox: SandboxClient) -> None:
    assert attempt(sandbox, "return bool(socket.getaddrinfo('example.com', 80))").value is None


def test_abstract_sockets_are_out_of_reach(sandbox: SandboxClient) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("\0rft-test-abstract")
        listener.listen()
        assert attempt(sandbox, "socket.socket(socket.AF_UNIX).connect('\\0rft-test-abstract')", "return True").value is None


def test_unix_sockets_are_out_of_reach(sandbox: SandboxClient, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        assert attempt(sandbox, f"socket.socket(socket.AF_UNIX).connect({str(tmp_path / 's')!r})", "return True").value is None


def test_pairs_of_sockets_work(sandbox: SandboxClient) -> None:
    assert attempt(sandbox, "a, b = socket.socketpair()", "a.send(b'x')", "return b.recv(1) == b'x'").value is True


def test_a_pair_leads_nowhere_else(sandbox: SandboxClient) -> None:
    lines = (
        "a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)",
        "a.sendto(b'x', '\\0rft-test-datagram')",
        "return True",
    )
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind("\0rft-test-datagram")
        assert attempt(sandbox, *lines).value is None
