from __future__ import annotations

import gzip
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from core.outbound import Outbound, OutboundFailed, OutboundRefused, Reply

from .hostile import Answer, endless, read_request, reply, serving

HEAD = b"HTTP/1.1 200 OK\r\n"


@pytest.fixture
def outbound() -> Iterator[Outbound]:
    client = Outbound(allow_private=True)
    yield client
    client.close()


def send(client: Outbound, url: str, *, content: bytes = b"{}", timeout: float = 20.0, max_bytes: int = 1000, **headers) -> Reply:
    return client.send("POST", url, headers=headers, content=content, timeout=timeout, max_bytes=max_bytes)


def failure(client: Outbound, answer: Answer, *, timeout: float = 20.0) -> str:
    with serving(answer) as server, pytest.raises(OutboundFailed) as caught:
        send(client, server.url, timeout=timeout)
    return caught.value.reason


def test_a_reply_comes_back_whole(outbound: Outbound):
    with serving(reply(b"hello", "418 Teapot", "X-A: 1\r\nx-a: 2\r\n")) as server:
        assert send(outbound, server.url) == Reply(418, {"content-length": "5", "x-a": "1, 2"}, b"hello")


def test_a_request_carries_the_method_path_headers_and_content(outbound: Outbound):
    with serving(reply(b"")) as server:
        send(outbound, server.url + "a%20b?c=d#e", content=b"data", authorization="Bearer x")
    head, _, content = server.requests[0].partition(b"\r\n\r\n")
    assert head.split(b"\r\n")[0] == b"POST /a%20b?c=d HTTP/1.1"
    assert {b"host: 127.0.0.1:%d" % server.port, b"authorization: Bearer x", b"content-length: 4"} <= set(
        head.lower().replace(b"bearer", b"Bearer").split(b"\r\n")
    )
    assert content == b"data"


def test_a_connection_is_used_again(outbound: Outbound):
    with serving(reply(b"x")) as server:
        for _ in range(5):
            send(outbound, server.url)
        assert (len(server.requests), server.connections) == (5, 1)


def test_many_threads_share_the_client(outbound: Outbound):
    def echo(connection: socket.socket) -> None:
        reply(server.requests[-1][-3:] and b"ok")(connection)

    with serving(echo) as server, ThreadPoolExecutor(32) as pool:
        replies = list(pool.map(lambda _: send(outbound, server.url), range(400)))
        assert {answer.content for answer in replies} == {b"ok"}
        assert len(server.requests) == 400


def test_a_redirect_is_a_reply(outbound: Outbound):
    with serving(reply(b"secret")) as inner, serving(reply(b"", "302 Found", f"location: {inner.url}\r\n")) as server:
        assert send(outbound, server.url).status == 302
        assert not inner.requests


def test_a_reply_to_a_request_that_was_not_read_is_still_read(outbound: Outbound):
    listener = socket.create_server(("127.0.0.1", 0))

    def refuse() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(1000)
            connection.sendall(b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n")
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(1 << 20):
                pass

    with listener, ThreadPoolExecutor(1) as pool:
        pool.submit(refuse)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        assert send(outbound, url, content=bytes(5_000_000)).status == 413


def test_proxies_of_the_environment_are_not_used(outbound: Outbound, monkeypatch: pytest.MonkeyPatch):
    with serving(reply(b"proxy")) as proxy, serving(reply(b"direct")) as server:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        assert send(outbound, server.url).content == b"direct"


class TestSize:
    def test_a_length_over_the_limit_is_not_waited_for(self, outbound: Outbound):
        assert failure(outbound, lambda it: it.sendall(HEAD + b"content-length: 100000000\r\n\r\n")) == "too_large"

    def test_a_body_without_a_length_is_read_up_to_the_limit(self, outbound: Outbound):
        assert failure(outbound, endless(HEAD + b"\r\n", bytes(100_000))) == "too_large"

    def test_endless_chunks_are_read_up_to_the_limit(self, outbound: Outbound):
        assert failure(outbound, endless(HEAD + b"transfer-encoding: chunked\r\n\r\n", b"1\r\nx\r\n" * 1000)) == "too_large"

    def test_exactly_the_limit_is_allowed(self, outbound: Outbound):
        with serving(reply(bytes(1000))) as server:
            assert len(send(outbound, server.url).content) == 1000

    def test_chunks_of_one_byte_are_no_more_than_their_bytes(self, outbound: Outbound):
        body = HEAD + b"transfer-encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 1000 + b"0\r\n\r\n"
        with serving(lambda it: it.sendall(body)) as server:
            assert len(send(outbound, server.url).content) == 1000

    def test_a_head_without_an_end_is_bounded(self, outbound: Outbound):
        assert failure(outbound, endless(HEAD, b"x-bomb: " + b"a" * 1000 + b"\r\n")) in ("protocol", "too_large")

    def test_one_endless_header_is_bounded(self, outbound: Outbound):
        assert failure(outbound, endless(HEAD + b"x-bomb: ", b"a" * 10_000)) in ("protocol", "too_large")

    def test_endless_informational_replies_are_bounded(self, outbound: Outbound):
        assert failure(outbound, endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000)) == "too_large"

    def test_a_compressed_reply_is_refused_before_it_is_read(self, outbound: Outbound):
        bomb = gzip.compress(bytes(1_000_000))
        assert failure(outbound, reply(bomb[:900], headers="content-encoding: gzip\r\n")) == "encoding"


class TestTime:
    def test_silence_ends_with_the_deadline(self, outbound: Outbound):
        assert failure(outbound, read_request, timeout=0.3) == "timeout"

    def test_a_body_that_drips_for_ever_ends_with_the_deadline(self, outbound: Outbound):
        drip = endless(HEAD + b"transfer-encoding: chunked\r\n\r\n", b"1\r\nx\r\n", pause=0.05)
        assert failure(outbound, drip, timeout=0.5) == "timeout"

    def test_headers_that_drip_for_ever_end_with_the_deadline(self, outbound: Outbound):
        assert failure(outbound, endless(HEAD, b"a: b\r\n", pause=0.05), timeout=0.5) == "timeout"

    def test_a_request_that_nobody_reads_ends_with_the_deadline(self, outbound: Outbound):
        with socket.create_server(("127.0.0.1", 0)) as listener, pytest.raises(OutboundFailed) as caught:
            send(outbound, f"http://127.0.0.1:{listener.getsockname()[1]}/", content=bytes(50_000_000), timeout=0.5)
        assert caught.value.reason == "timeout"

    def test_a_handshake_that_never_ends_ends_with_the_deadline(self, outbound: Outbound):
        with socket.create_server(("127.0.0.1", 0)) as listener, pytest.raises(OutboundFailed) as caught:
            send(outbound, f"https://127.0.0.1:{listener.getsockname()[1]}/", timeout=0.3)
        assert caught.value.reason == "timeout"

    def test_a_look_up_that_never_ends_ends_with_the_deadline(self):
        over = threading.Event()

        def resolve(_host: str, _port: int) -> list[str]:
            over.wait()
            return []

        client = Outbound(resolve=resolve)
        with pytest.raises(OutboundFailed) as caught:
            send(client, "https://slow.example/", timeout=0.3)
        over.set()
        assert caught.value.reason == "timeout"

    def test_a_failed_request_leaves_the_client_usable(self, outbound: Outbound):
        with serving(read_request) as silent, pytest.raises(OutboundFailed):
            send(outbound, silent.url, timeout=0.1)
        with serving(reply(b"fine")) as server:
            assert send(outbound, server.url).content == b"fine"


class TestProtocol:
    @pytest.mark.parametrize(
        "answer",
        [
            b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
            b"\x00\xff\xfe" * 100 + b"\r\n\r\n",
            b"HTTP/1.1 abc\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
            b"HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
        ],
    )
    def test_what_is_not_http_is_a_failure(self, outbound: Outbound, answer: bytes):
        def garbage(connection: socket.socket) -> None:
            connection.sendall(answer)
            connection.shutdown(socket.SHUT_WR)

        assert failure(outbound, garbage) in ("protocol", "disconnected")

    def test_a_connection_closed_without_a_reply(self, outbound: Outbound):
        assert failure(outbound, lambda it: it.shutdown(socket.SHUT_RDWR)) == "disconnected"

    def test_a_reply_that_is_cut_off(self, outbound: Outbound):
        def cut(connection: socket.socket) -> None:
            connection.sendall(HEAD + b"content-length: 10\r\n\r\nabc")
            connection.shutdown(socket.SHUT_WR)

        assert failure(outbound, cut) in ("protocol", "disconnected")

    def test_nobody_listens(self, outbound: Outbound):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        with pytest.raises(OutboundFailed) as caught:
            send(outbound, f"http://127.0.0.1:{port}/")
        assert caught.value.reason == "connect"

    def test_a_failure_does_not_quote_the_other_side(self, outbound: Outbound):
        with (
            serving(lambda it: it.sendall(b"HTTP/9.9 internal-secret\r\n\r\n")) as server,
            pytest.raises(OutboundFailed) as caught,
        ):
            send(outbound, server.url)
        assert "secret" not in caught.value.message


class TestHeaders:
    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("host", "internal"),
            ("Content-Length", "0"),
            ("Transfer-Encoding", "chunked"),
            ("connection", "close"),
            ("x a", "1"),
            ("x", "a\r\nhost: b"),
            ("x", "a\x00"),
            ("x", "\N{SNOWMAN}"),
            ("", "a"),
            ("x", "a" * 10_000),
        ],
    )
    def test_headers_that_frame_or_break_a_request_are_refused(self, outbound: Outbound, name: str, value: str):
        with serving(reply(b"")) as server:
            with pytest.raises(OutboundRefused) as caught:
                send(outbound, server.url, **{name: value})
            assert (caught.value.code, server.connections) == ("header_not_allowed", 0)


class TestNames:
    """Look-ups of a test's own, so that a name stands for what the test says."""

    def test_the_name_is_looked_up_once_and_that_answer_is_used(self):
        answers = iter([["127.0.0.1"], ["127.0.0.2"]])
        client = Outbound(allow_private=True, resolve=lambda _host, _port: next(answers))
        with serving(reply(b"first")) as server:
            assert send(client, f"http://rebound.example:{server.port}/").content == b"first"
        assert next(answers) == ["127.0.0.2"]
        client.close()

    def test_the_host_header_is_the_name(self):
        client = Outbound(allow_private=True, resolve=lambda _host, _port: ["127.0.0.1"])
        with serving(reply(b"")) as server:
            send(client, f"http://Named.example:{server.port}/")
        assert b"host: named.example:%d\r\n" % server.port in server.requests[0].lower()
        client.close()

    def test_the_next_address_is_tried_where_one_refuses(self):
        client = Outbound(allow_private=True, resolve=lambda _host, _port: ["127.0.0.9", "127.0.0.1"])
        with serving(reply(b"second")) as server:
            assert send(client, f"http://two.example:{server.port}/").content == b"second"
        client.close()

    @pytest.mark.parametrize(
        "addresses", [["127.0.0.1"], ["1.1.1.1", "10.0.0.1"], ["2606:4700:4700::1111", "::ffff:127.0.0.1"], ["169.254.169.254"]]
    )
    def test_one_private_address_refuses_the_name(self, addresses: list[str]):
        client = Outbound(resolve=lambda _host, _port: addresses)
        with pytest.raises(OutboundRefused) as caught:
            send(client, "https://trap.example/")
        assert caught.value.code == "url_not_allowed"

    @pytest.mark.parametrize("answer", [[], None])
    def test_a_name_without_an_address(self, answer: list[str] | None):
        def resolve(_host: str, _port: int) -> list[str]:
            if answer is None:
                raise socket.gaierror(socket.EAI_NONAME, "unknown")
            return answer

        with pytest.raises(OutboundFailed) as caught:
            send(Outbound(resolve=resolve), "https://nowhere.example/")
        assert caught.value.reason == "resolve"

    def test_a_private_url_is_refused_without_a_look_up(self):
        def resolve(_host: str, _port: int) -> list[str]:
            raise AssertionError("looked up")

        with pytest.raises(OutboundRefused):
            send(Outbound(resolve=resolve), "https://127.0.0.1/")
