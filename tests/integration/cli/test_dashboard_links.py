"""The links to the dashboard that commands print."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

import httpx2

from tests.integration.cli.conftest import QUICK, SUBMIT, Workplace

HEADERS = {"sec-fetch-site": "same-origin", "x-rft-dashboard": "1"}


def test_serve_prints_a_link_that_lets_nobody_in_where_others_may_read_it(workplace: Workplace) -> None:
    server = workplace.serve()
    server.process.stdout.readline()
    line = server.process.stdout.readline()
    server.end()
    assert line.strip() == f"dashboard {server.base_url.removesuffix('/v1')}/dashboard"


def test_on_a_terminal_the_link_signs_one_browser_in(workplace: Workplace) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "cli.main", "serve", "--port", "0"]
    process = subprocess.Popen(command, cwd=workplace.directory, env=workplace.environment(), stdin=theirs, stdout=theirs)
    os.close(theirs)
    try:
        with os.fdopen(ours, "r") as terminal:
            link = next(line for line in terminal if line.startswith("dashboard")).split()[1]
            page, _, token = link.partition("#link=")
            with httpx2.Client(base_url=page.removesuffix("/dashboard"), headers=HEADERS) as browser:
                assert browser.post("/dashboard/session", json={"link": token}).status_code == 200
                assert browser.get("/v1/models").status_code == 200
                assert browser.post("/dashboard/session", json={"link": token}).status_code == 401
    finally:
        process.terminate()
        process.wait(60)


def test_an_open_stream_does_not_hold_up_the_end(workplace: Workplace) -> None:
    server = workplace.serve()
    secret = server.process.stdout.readline().split()[1]
    workplace.variables |= {"OPENAI_BASE_URL": server.base_url, "OPENAI_API_KEY": secret}
    job = workplace.rft(*SUBMIT, *QUICK, "--n-epochs", "50").stdout.split()[0]
    headers = {"authorization": f"Bearer {secret}"}
    with httpx2.stream("GET", f"{server.base_url}/fine_tuning/jobs/{job}/stream", headers=headers) as reply:
        lines = reply.iter_lines()
        assert next(lines) == "event: job"
        server.process.terminate()
        assert "still here" not in "".join(lines), "the stream ends, whole, before its heartbeat"
    assert server.rest()[1] == 0
