"""HTTPS with certificates of the test's own authority."""

from __future__ import annotations

import datetime as dt
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from core.outbound import Outbound, OutboundFailed, Reply

from .hostile import reply, serving


@dataclass(frozen=True)
class Authority:
    """Issues certificates for names, and is trusted through `trust`."""

    directory: Path
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def made(cls, directory: Path) -> Authority:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test authority")])
        builder = described(name, name, key).add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        return cls(directory, key, builder.sign(key, hashes.SHA256()))

    def trust(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=self.certificate.public_bytes(serialization.Encoding.PEM).decode())
        return context

    def server(self, host: str, seen: list[str | None]) -> Callable[[socket.socket], socket.socket]:
        """Puts a connection under TLS with a certificate for the host; notes the names that clients ask for."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
        try:
            subject: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(host))
        except ValueError:
            subject = x509.DNSName(host)
        builder = described(name, self.certificate.subject, key).add_extension(x509.SubjectAlternativeName([subject]), False)
        certificate = builder.sign(self.key, hashes.SHA256())
        path = self.directory / f"{host.replace(':', '_')}.pem"
        pem = serialization.Encoding.PEM
        path.write_bytes(
            key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
            + certificate.public_bytes(pem)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        context.sni_callback = lambda _socket, asked, _context: seen.append(asked)
        return lambda connection: context.wrap_socket(connection, server_side=True)


def described(name: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
    )


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.made(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def outbound(authority: Authority) -> Iterator[Outbound]:
    client = Outbound(allow_private=True, trust=authority.trust(), resolve=lambda _host, _port: ["127.0.0.1"])
    yield client
    client.close()


def get(client: Outbound, url: str) -> Reply:
    return client.send("GET", url, headers={}, content=b"", timeout=20.0, max_bytes=1000)


def test_the_certificate_is_checked_against_the_name_and_not_the_address(outbound: Outbound, authority: Authority):
    names: list[str | None] = []
    with serving(reply(b"secret"), wrap=authority.server("hooks.example", names)) as server:
        assert get(outbound, f"https://hooks.example:{server.port}/").content == b"secret"
    assert names == ["hooks.example"]


def test_a_secured_connection_is_used_again(outbound: Outbound, authority: Authority):
    with serving(reply(b"x"), wrap=authority.server("hooks.example", [])) as server:
        for _ in range(3):
            get(outbound, f"https://hooks.example:{server.port}/")
        assert (len(server.requests), server.connections) == (3, 1)


def test_an_address_can_have_a_certificate(outbound: Outbound, authority: Authority):
    with serving(reply(b"x"), wrap=authority.server("127.0.0.1", [])) as server:
        assert get(outbound, f"https://127.0.0.1:{server.port}/").content == b"x"


def test_a_certificate_for_another_name_is_refused(outbound: Outbound, authority: Authority):
    with serving(reply(b"x"), wrap=authority.server("other.example", [])) as server, pytest.raises(OutboundFailed) as caught:
        get(outbound, f"https://hooks.example:{server.port}/")
    assert caught.value.reason == "tls"
    assert server.requests == []


def test_an_unknown_authority_is_refused(authority: Authority):
    client = Outbound(allow_private=True, resolve=lambda _host, _port: ["127.0.0.1"])
    with (
        serving(reply(b"x"), wrap=authority.server("hooks.example", [])) as server,
        pytest.raises(OutboundFailed) as caught,
    ):
        get(client, f"https://hooks.example:{server.port}/")
    assert caught.value.reason == "tls"


def test_a_server_without_tls_is_refused(outbound: Outbound):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def plain() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

        threading.Thread(target=plain, daemon=True).start()
        with pytest.raises(OutboundFailed) as caught:
            get(outbound, f"https://hooks.example:{listener.getsockname()[1]}/")
    assert caught.value.reason == "tls"


def test_a_reply_cut_off_below_tls_is_not_taken_for_whole(outbound: Outbound, authority: Authority):
    def cut(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\nhalf of the rep")
        # The TCP connection ends, without TLS's own mark.
        socket.socket(fileno=connection.detach()).close()

    with serving(cut, wrap=authority.server("hooks.example", [])) as server, pytest.raises(OutboundFailed) as caught:
        get(outbound, f"https://hooks.example:{server.port}/")
    assert caught.value.reason == "disconnected"
