from __future__ import annotations

import pytest

from core.outbound import OutboundRefused, check_url

from .test_addresses import PUBLIC, REFUSED


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com",
        "https://example.com:8443/a/b?c=d",
        "HTTPS://EXAMPLE.com/",
        "https://b\u00fccher.example/",
        "https://example.com./",
        "https://a_b.example.com/",
        "https://[2606:4700:4700::1111]/",
    ],
)
def test_public_https_urls_are_allowed(url: str):
    check_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com",
        "//example.com/",
        "http://example.com/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "https://",
        "https:///path",
        "https://user:password@example.com/",
        "https://example.com@127.0.0.1/",
        "https://example.com:80/",
        "https://example.com:22/",
        "https://example.com:0/",
        "https://example.com:99999/",
        "https://example.com:abc/",
        "https://exa mple.com/",
        "https://example.com/\r\nx: y",
        "https://example.com\\@127.0.0.1/",
        "https://example.com/\x00",
        "https://%31%32%37.0.0.1/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0x7f.1/",
        "https://0177.0.0.1/",
        "https://127.1/",
        "https://1.2.3.4.5/",
        "https://\uff11\uff12\uff17.0.0.1/",
        "https://\u2460.example/ \u2460",
        "https://*/",
        "https://a..b/",
        "https://-a.com/",
        "https://localhost/",
        "https://LOCALHOST./",
        "https://a.localhost/",
        "https://metadata.google.internal/",
        "https://printer.local/",
        "https://redis/",
        "https://[::1/",
        "https://[v1.x]/",
        "https://[fe80::1%25eth0]/",
        "https://example.com/" + "a" * 3000,
        "https://" + "a." * 130 + "com/",
    ],
)
def test_other_urls_are_refused(url: str):
    with pytest.raises(OutboundRefused) as caught:
        check_url(url, param="endpoint")
    assert (caught.value.status, caught.value.code, caught.value.param) == (400, "url_not_allowed", "endpoint")


@pytest.mark.parametrize("address", [address for address in REFUSED if "%" not in address])
def test_special_addresses_are_refused_as_they_stand(address: str):
    with pytest.raises(OutboundRefused):
        check_url(f"https://[{address}]/" if ":" in address else f"https://{address}/")


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_allowed_as_they_stand(address: str):
    check_url(f"https://[{address}]/" if ":" in address else f"https://{address}/")


@pytest.mark.parametrize("url", ["http://127.0.0.1:9999/", "http://judge:8000/v1", "https://[::1]:1234/", "http://localhost/"])
def test_an_operator_may_allow_private_urls(url: str):
    check_url(url, allow_private=True)


@pytest.mark.parametrize("url", ["ftp://localhost/", "http://a:b@localhost/", "http://localhost:70000/", "http://127.1/"])
def test_what_is_wrong_stays_wrong_where_private_urls_are_allowed(url: str):
    with pytest.raises(OutboundRefused):
        check_url(url, allow_private=True)
