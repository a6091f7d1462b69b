from __future__ import annotations

import signal
import socket
from collections.abc import Iterator

import psutil
import pytest
from openai import AuthenticationError, OpenAI

from tests.integration.cli.conftest import PATIENCE_SECONDS, QUICK, SUBMIT, Server, Workplace, wait_for


@pytest.fixture
def servers(workplace: Workplace) -> Iterator[list[Server]]:
    """Those a test starts; ended with it."""
    started: list[Server] = []
    yield started
    for server in started:
        if not server.process.stdout.closed:
            server.end()


def with_a_running_job(workplace: Workplace, server: Server) -> list[psutil.Process]:
    """The server's whole family, once a worker, a runner and a sampler are part of it."""
    secret = server.process.stdout.readline().split()[1]
    workplace.variables |= {"OPENAI_BASE_URL": server.base_url, "OPENAI_API_KEY": secret}
    workplace.rft(*SUBMIT, *QUICK, "--n-epochs", "50")
    with OpenAI(base_url=server.base_url, api_key=secret) as client:
        client.chat.completions.create(model="tiny", messages=[{"role": "user", "content": "hi"}], max_tokens=2)

    def whole() -> list[psutil.Process]:
        family = server.family()
        commands = [" ".join(member.cmdline()) for member in family]
        modules = ("worker.supervisor", "worker.runner", "worker.sampler")
        return family if all(any(module in command for command in commands) for module in modules) else []

    return list(wait_for(whole))


def test_sigterm_ends_the_service_and_all_its_processes(workplace: Workplace, servers: list[Server]) -> None:
    servers.append(server := workplace.serve())
    family = with_a_running_job(workplace, server)

    assert server.end(signal.SIGTERM) == 0
    assert psutil.wait_procs(family, PATIENCE_SECONDS)[1] == []


def test_a_killed_service_takes_all_its_processes_along(workplace: Workplace, servers: list[Server]) -> None:
    servers.append(server := workplace.serve())
    family = with_a_running_job(workplace, server)
    server.end(signal.SIGKILL)

    assert psutil.wait_procs(family, PATIENCE_SECONDS)[1] == []


def test_ctrl_c_ends_the_service_in_order(workplace: Workplace, servers: list[Server]) -> None:
    servers.append(server := workplace.serve())
    worker = wait_for(server.worker)

    assert server.end(signal.SIGINT) == 0
    assert not worker.is_running()


def test_the_first_start_tells_a_key_that_works(workplace: Workplace, servers: list[Server]) -> None:
    servers.append(server := workplace.serve())
    label, secret, *_ = server.process.stdout.readline().split()

    assert label == "api_key"
    with OpenAI(base_url=server.base_url, api_key=secret) as client:
        assert [model.id for model in client.models.list()]


def test_a_later_start_tells_no_key(workplace: Workplace, servers: list[Server]) -> None:
    servers.append(first := workplace.serve())
    first.end()
    servers.append(second := workplace.serve())
    second.process.send_signal(signal.SIGTERM)

    told, status = second.rest()
    assert ("key" in told, status) == (False, 0)


def test_the_operators_own_key_works_and_is_not_told(workplace: Workplace, servers: list[Server]) -> None:
    workplace.variables["RFT_API_KEY"] = "sk-of-my-own"
    servers.append(server := workplace.serve())
    with OpenAI(base_url=server.base_url, api_key="sk-of-my-own") as client:
        models = client.models.list()
    server.process.send_signal(signal.SIGTERM)

    assert models.data
    told, status = server.rest()
    assert ("key" in told or "sk-of-my-own" in told, status) == (False, 0)


def test_a_worker_that_dies_is_started_again(workplace: Workplace, servers: list[Server]) -> None:
    servers.append(server := workplace.serve())
    first = wait_for(server.worker)
    first.kill()
    psutil.wait_procs([first], PATIENCE_SECONDS)

    def second() -> psutil.Process | None:
        worker = server.worker()
        return worker if worker is not None and worker.pid != first.pid else None

    assert wait_for(second)


def test_a_taken_port_is_one_line_and_changes_nothing(workplace: Workplace) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = workplace.rft("serve", "--port", str(port), check=1)

    assert done.stderr.startswith(f"error: Cannot listen on 127.0.0.1:{port}")
    assert not (workplace.directory / "data").exists()


def test_a_wrong_models_file_is_one_line(workplace: Workplace) -> None:
    (workplace.directory / "models.yaml").write_text("models: {tiny: {sauce: ./tiny}}")
    done = workplace.rft("serve", "--port", "0", check=1)

    assert "models.tiny.source" in done.stderr.splitlines()[-1]


def test_a_created_key_works_until_it_is_revoked(served: Workplace) -> None:
    secret = served.rft("keys", "create", "--name", "mine").stdout.strip()
    with OpenAI(base_url=served.variables["OPENAI_BASE_URL"], api_key=secret) as client:
        assert client.models.list().data
        (line,) = [line for line in served.rft("keys", "list").stdout.splitlines() if "\tmine\t" in line]
        served.rft("keys", "revoke", line.split("\t")[0])

        with pytest.raises(AuthenticationError):
            client.models.list()


def test_listed_keys_hide_their_secrets(served: Workplace) -> None:
    secret = served.rft("keys", "create").stdout.strip()

    assert secret not in served.rft("keys", "list").stdout


def test_a_local_model_is_ready_without_fetching(workplace: Workplace) -> None:
    assert workplace.rft("models", "list").stdout.split("\t")[:2] == ["tiny", "ready"]
    assert "tiny ready" in workplace.rft("models", "fetch").stdout


def test_fetching_an_unknown_model_is_one_line(workplace: Workplace) -> None:
    assert "`nope`" in workplace.rft("models", "fetch", "nope", check=1).stderr
