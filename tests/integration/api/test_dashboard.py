"""The pages' surroundings: signing in, what a session's cookie counts for, and what browsers are told to forbid."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from core.security.keys import KeyStore
from core.security.sessions import SessionStore
from core.settings import DEFAULT_PROJECT

from .conftest import KEY, Fresh

SAFE = {"sec-fetch-site": "same-origin", "x-rft-dashboard": "1"}
JOBS = "/v1/fine_tuning/jobs"


@pytest.fixture
def browser(anonymous: httpx2.Client) -> httpx2.Client:
    """Signed in."""
    assert anonymous.post("/dashboard/session", json={"api_key": KEY}, headers=SAFE).status_code == 200
    return anonymous


@pytest.fixture
def key(service) -> Iterator[tuple[str, str]]:
    """The id and the secret of a key of its own."""
    keys = KeyStore(service.context.database)
    made, secret = keys.create(DEFAULT_PROJECT, "browser")
    yield made.id, secret
    keys.revoke(DEFAULT_PROJECT, made.id)


def own_origin(client: httpx2.Client) -> str:
    return str(client.base_url).rstrip("/")


def test_the_cookie_is_out_of_reach_for_scripts_and_other_sites(anonymous: httpx2.Client) -> None:
    reply = anonymous.post("/dashboard/session", json={"api_key": KEY}, headers=SAFE)
    attributes = {part.strip().lower() for part in reply.headers["set-cookie"].split(";")[1:]}
    assert {"httponly", "samesite=strict", "path=/"} <= attributes
    assert KEY not in reply.headers["set-cookie"]
    assert reply.json() == {"object": "dashboard.session", "project_id": DEFAULT_PROJECT, "scopes": []}


@pytest.mark.parametrize(("trusted", "secure"), [("127.0.0.1", True), ("", False)], ids=["trusted", "unknown"])
def test_the_cookie_is_for_https_only_behind_a_trusted_proxy_with_tls(
    tmp_path: Path, fresh: Fresh, trusted: str, secure: bool
) -> None:
    headers = {**SAFE, "x-forwarded-proto": "https"}
    with fresh.running(fresh.settings(tmp_path, trusted_proxies=trusted)) as service, service.http(None) as http:
        reply = http.post("/dashboard/session", json={"api_key": KEY}, headers=headers)
    assert ("secure" in reply.headers["set-cookie"].lower()) is secure


@pytest.mark.parametrize("body", [{"api_key": "sk-wrong"}, {"link": "wrong"}, {"api_key": ""}])
def test_a_wrong_secret_signs_nobody_in(anonymous: httpx2.Client, body: dict[str, str]) -> None:
    reply = anonymous.post("/dashboard/session", json=body, headers=SAFE)
    assert reply.status_code == 401
    assert "set-cookie" not in reply.headers


@pytest.mark.parametrize("body", [{}, {"api_key": KEY, "link": "x"}, {"api_key": 3}, {"key": KEY}])
def test_a_sign_in_has_one_secret(anonymous: httpx2.Client, body: dict[str, str]) -> None:
    assert anonymous.post("/dashboard/session", json=body, headers=SAFE).status_code == 400


def test_a_link_signs_in_once(anonymous: httpx2.Client, service, key: tuple[str, str]) -> None:
    link = SessionStore(service.context.database).make_link(DEFAULT_PROJECT, key[0])
    assert anonymous.post("/dashboard/session", json={"link": link}, headers=SAFE).status_code == 200
    assert anonymous.get(JOBS).status_code == 200
    assert anonymous.post("/dashboard/session", json={"link": link}, headers=SAFE).status_code == 401


def test_the_session_opens_the_api(browser: httpx2.Client) -> None:
    assert browser.get(JOBS, headers={"sec-fetch-site": "same-origin"}).status_code == 200
    assert browser.get("/dashboard/session").json()["project_id"] == DEFAULT_PROJECT


def test_without_a_session_nothing_is_shown(anonymous: httpx2.Client) -> None:
    reply = anonymous.get("/dashboard/session")
    assert (reply.status_code, reply.json()["error"]["code"]) == (401, "no_session")
    assert anonymous.get(JOBS).status_code == 401


def test_a_made_up_cookie_opens_nothing(anonymous: httpx2.Client) -> None:
    reply = anonymous.get(JOBS, headers={"cookie": "rft_session=" + "x" * 43})
    assert (reply.status_code, reply.json()["error"]["code"]) == (401, "no_session")


def test_revoking_the_key_ends_the_session(anonymous: httpx2.Client, service, key: tuple[str, str]) -> None:
    anonymous.post("/dashboard/session", json={"api_key": key[1]}, headers=SAFE)
    assert anonymous.get(JOBS).status_code == 200
    KeyStore(service.context.database).revoke(DEFAULT_PROJECT, key[0])
    assert anonymous.get(JOBS).status_code == 401


def test_signing_out_ends_every_copy_of_the_cookie(browser: httpx2.Client) -> None:
    stolen = browser.cookies["rft_session"]
    assert browser.delete("/dashboard/session", headers=SAFE).status_code == 204
    assert "rft_session" not in browser.cookies
    assert browser.get(JOBS, headers={"cookie": f"rft_session={stolen}"}).status_code == 401


def test_a_session_may_do_what_its_key_may(anonymous: httpx2.Client, service) -> None:
    _, secret = KeyStore(service.context.database).create(DEFAULT_PROJECT, "reader", scopes=["api.fine_tuning.read"])
    anonymous.post("/dashboard/session", json={"api_key": secret}, headers=SAFE)
    assert anonymous.get(JOBS).status_code == 200
    assert anonymous.get("/v1/files").status_code == 403
    assert anonymous.post(f"{JOBS}/ftjob-x/cancel", headers=SAFE).status_code == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
@pytest.mark.parametrize(
    ("method", "path"), [("GET", JOBS), ("POST", f"{JOBS}/ftjob-x/cancel"), ("DELETE", "/dashboard/session")]
)
def test_another_origin_gets_nothing(browser: httpx2.Client, site: str, method: str, path: str) -> None:
    reply = browser.request(method, path, headers={**SAFE, "sec-fetch-site": site})
    assert (reply.status_code, reply.json()["error"]["code"]) == (403, "cross_origin")


def test_another_origin_signs_nobody_in(anonymous: httpx2.Client) -> None:
    headers = {**SAFE, "sec-fetch-site": "cross-site"}
    assert anonymous.post("/dashboard/session", json={"api_key": KEY}, headers=headers).status_code == 403


@pytest.mark.parametrize("missing", ["x-rft-dashboard", "sec-fetch-site"])
def test_a_change_needs_both_proofs(browser: httpx2.Client, missing: str) -> None:
    headers = {name: value for name, value in SAFE.items() if name != missing}
    assert browser.post(f"{JOBS}/ftjob-x/cancel", headers=headers).status_code == 403


def test_where_browsers_name_no_site_the_origin_counts(browser: httpx2.Client) -> None:
    headers = {"x-rft-dashboard": "1", "origin": own_origin(browser)}
    assert browser.post(f"{JOBS}/ftjob-x/cancel", headers=headers).status_code == 404
    assert browser.post(f"{JOBS}/ftjob-x/cancel", headers={**headers, "origin": "http://evil.test"}).status_code == 403
    assert browser.get(JOBS, headers={"origin": "http://evil.test"}).status_code == 403


def test_a_typed_address_reads_and_changes_nothing(browser: httpx2.Client) -> None:
    headers = {**SAFE, "sec-fetch-site": "none"}
    assert browser.get(JOBS, headers=headers).status_code == 200
    assert browser.post(f"{JOBS}/ftjob-x/cancel", headers=headers).status_code == 403


def test_a_key_goes_before_the_cookie(browser: httpx2.Client) -> None:
    headers = {"authorization": f"Bearer {KEY}", "sec-fetch-site": "cross-site"}
    assert browser.post(f"{JOBS}/ftjob-x/cancel", headers=headers).status_code == 404
    assert browser.get(JOBS, headers={"authorization": "Bearer sk-wrong"}).status_code == 401


def test_no_reply_lets_other_origins_read(browser: httpx2.Client) -> None:
    for path in ("/dashboard", JOBS, "/dashboard/session"):
        assert not [name for name in browser.get(path).headers if name.startswith("access-control-")]


def test_a_session_opens_no_admin_route(browser: httpx2.Client) -> None:
    assert browser.get("/v1/organization/projects", headers=SAFE).status_code == 401


@pytest.mark.parametrize("path", ["/dashboard", "/dashboard/jobs/ftjob-1", "/dashboard/jobs/new"])
def test_every_address_is_the_page(anonymous: httpx2.Client, path: str) -> None:
    reply = anonymous.get(path)
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "text/html; charset=utf-8"


def test_browsers_are_told_to_run_our_files_alone(anonymous: httpx2.Client) -> None:
    headers = anonymous.get("/dashboard").headers
    policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
    assert (policy["default-src"], policy["script-src"], policy["style-src"]) == ("'self'", "'self'", "'self'")
    assert (policy["frame-ancestors"], policy["base-uri"], policy["object-src"]) == ("'none'",) * 3
    assert "unsafe" not in headers["content-security-policy"]
    assert (headers["x-content-type-options"], headers["referrer-policy"]) == ("nosniff", "same-origin")


def test_the_page_has_nothing_inline_and_nothing_from_elsewhere(anonymous: httpx2.Client) -> None:
    page = anonymous.get("/dashboard").text
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\son\w+=|\sstyle=|https?://", page)


def files_of(client: httpx2.Client) -> list[str]:
    return re.findall(r'(?:href|src|content)="(/dashboard/[^"]+)"', client.get("/dashboard").text)


def test_every_file_of_the_page_is_there_and_kept_for_ever(anonymous: httpx2.Client) -> None:
    found = files_of(anonymous)
    assert len(found) > 5
    for path in found:
        reply = anonymous.get(path)
        assert (reply.status_code, reply.headers["content-encoding"] if len(reply.content) > 1024 else "gzip") == (200, "gzip")
        assert "immutable" in reply.headers["cache-control"]
        assert reply.headers["x-content-type-options"] == "nosniff"
        unchanged = anonymous.get(path, headers={"if-none-match": reply.headers["etag"]})
        assert (unchanged.status_code, unchanged.content) == (304, b"")


@pytest.mark.parametrize("path", ["nothing.js", "..%2froutes.py", "README.md", "index.html"])
def test_nothing_but_the_pages_files_is_served(anonymous: httpx2.Client, path: str) -> None:
    base = next(found for found in files_of(anonymous) if found.endswith("/app.js")).removesuffix("app.js")
    assert anonymous.get(base + path).status_code == 404


def test_a_file_of_another_version_is_refused(anonymous: httpx2.Client) -> None:
    assert anonymous.get("/dashboard/assets/0000000000000000/app.js").status_code == 404


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_no_page_loads_scripts_from_elsewhere(anonymous: httpx2.Client, path: str) -> None:
    assert anonymous.get(path).status_code == 404
