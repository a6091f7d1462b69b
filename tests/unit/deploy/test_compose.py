"""docker-compose.yml, held against the code: what it names exists, and what it promises of isolation is written in it."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from cli.main import commands
from core.models import ModelRegistry
from core.settings import Settings
from tests.unit.deploy import dockerfile
from tests.unit.deploy.conftest import ROOT, script

OURS = ("api", "worker-cpu", "worker-gpu", "worker-light", "scheduler", "sampler", "grader", "migrate", "models")
FOREIGN = {
    "POSTGRES_USER", "POSTGRES_DB", "POSTGRES_PASSWORD", "PGPASSWORD", "AWS_ENDPOINT_URL", "AWS_REGION", "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY", "S3_BUCKET", "GF_SECURITY_ADMIN_PASSWORD",
}  # fmt: skip
NAMES = sorted(yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"])


def secret_files(service: dict[str, Any]) -> list[str]:
    files = service.get("env_file", [])
    return [path.removeprefix("deploy/secrets/") for path in files]


def variables(service: dict[str, Any]) -> set[str]:
    """All that it is given, secrets included."""
    made = script("make_secrets").contents()
    return {*service.get("environment", {}), *(name for file in secret_files(service) for name in made[file])}


def parse(words: list[str]) -> None:
    """Raises where `rft` has no such command, or it takes no such option."""
    command = get_command(commands)
    context = command.make_context("rft", words, resilient_parsing=False)
    while words := [*context._protected_args, *context.args]:
        name, found, rest = command.resolve_command(context, words)
        assert name is not None
        command, context = found, found.make_context(name, rest, parent=context)
        if not hasattr(command, "resolve_command"):
            return


@pytest.mark.parametrize("name", OURS)
def test_every_command_exists(services: dict[str, Any], name: str) -> None:
    service = services[name]
    stages = dockerfile.read(ROOT / "Dockerfile")
    words = service.get("command") or yaml.safe_load(stages[service["build"]["target"]].all("CMD")[-1])
    if words[0] == "rft":
        parse(words[1:])
    else:
        assert words[0] == "python"
        assert importlib.util.find_spec(words[words.index("-m") + 1])


@pytest.mark.parametrize("name", NAMES)
def test_every_variable_is_one_that_somebody_reads(services: dict[str, Any], name: str) -> None:
    known = {f"RFT_{field.upper()}" for field in Settings.model_fields}
    assert variables(services[name]) - known - FOREIGN == set()


def test_the_images_variables_are_settings() -> None:
    known = {f"RFT_{field.upper()}" for field in Settings.model_fields}
    for stage in dockerfile.read(ROOT / "Dockerfile").values():
        named = [word.split("=")[0] for line in stage.all("ENV") for word in line.split() if word.startswith("RFT_")]
        assert set(named) <= known


@pytest.mark.parametrize("name", NAMES)
def test_every_service_has_a_health_check_or_runs_once(services: dict[str, Any], name: str) -> None:
    service = services[name]
    once = service["restart"] == "no" and service["healthcheck"] == {"disable": True}
    assert once or service["healthcheck"]["test"][0] == "CMD"


@pytest.mark.parametrize(("url", "healthy"), [("sqlite:///rft.db", True), ("postgresql://nobody@127.0.0.1:1/none", False)])
def test_who_answers_no_requests_is_healthy_while_the_database_answers(
    services: dict[str, Any], tmp_path: Path, url: str, healthy: bool
) -> None:
    [code] = {services[name]["healthcheck"]["test"][3] for name in ("worker-light", "scheduler")}
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "RFT_DATABASE_URL": url}
    checked = subprocess.run([sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True)
    assert (checked.returncode == 0) is healthy


@pytest.mark.parametrize("name", NAMES)
def test_who_is_waited_for_can_say_so(services: dict[str, Any], name: str) -> None:
    for other, wanted in services[name].get("depends_on", {}).items():
        once = services[other]["restart"] == "no"
        assert wanted["condition"] == ("service_completed_successfully" if once else "service_healthy")


@pytest.mark.parametrize("name", NAMES)
def test_every_volume_network_and_file_exists(compose: dict[str, Any], services: dict[str, Any], name: str) -> None:
    service = services[name]
    for volume in service.get("volumes", []):
        source = volume.split(":")[0]
        if not source.startswith("./deploy/secrets/"):
            assert (ROOT / source).exists() if source.startswith("./") else source in compose["volumes"]
    assert set(service.get("networks", [])) <= set(compose["networks"])
    assert set(secret_files(service)) <= set(script("make_secrets").contents())


def test_prometheus_reads_services_that_there_are(services: dict[str, Any]) -> None:
    config = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text())
    for job in config["scrape_configs"]:
        for found in job.get("dns_sd_configs", []):
            for name in found["names"]:
                variables = services[name].get("environment", {})
                assert str(found["port"]) == variables.get("RFT_METRICS_PORT", "8000")


def test_no_volume_is_left_over(compose: dict[str, Any], services: dict[str, Any]) -> None:
    used = {volume.split(":")[0] for service in services.values() for volume in service.get("volumes", [])}
    assert {source for source in used if not source.startswith("./")} == set(compose["volumes"])


@pytest.mark.parametrize("name", OURS)
def test_every_target_is_a_stage(services: dict[str, Any], name: str) -> None:
    assert services[name]["build"]["target"] in dockerfile.read(ROOT / "Dockerfile")


@pytest.mark.parametrize("name", ["api", "worker-light", "scheduler", "migrate"])
def test_who_trains_nothing_runs_on_the_image_without_torch(services: dict[str, Any], name: str) -> None:
    assert services[name]["build"]["target"] == "api"


@pytest.mark.parametrize("name", OURS)
def test_our_services_have_no_rights(services: dict[str, Any], name: str) -> None:
    assert services[name]["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in services[name]["security_opt"]
    assert not {"privileged", "cap_add", "devices", "pid", "ipc", "user"} & set(services[name])


def test_the_grader_has_no_network(services: dict[str, Any]) -> None:
    assert services["grader"]["network_mode"] == "none"
    assert not {"networks", "ports", "links", "extra_hosts"} & set(services["grader"])


def test_the_grader_has_no_secrets_and_no_files_of_others(services: dict[str, Any]) -> None:
    grader = services["grader"]
    assert variables(grader) == set()
    assert grader["volumes"] == ["grader:/run/grader"]
    assert grader["read_only"] is True


def test_the_graders_use_of_the_machine_is_bounded(services: dict[str, Any]) -> None:
    assert services["grader"]["mem_limit"]
    assert services["grader"]["pids_limit"]
    assert all("size=" in mount for mount in services["grader"]["tmpfs"])


@pytest.mark.parametrize("name", ["api", "worker-cpu", "worker-gpu"])
def test_who_grades_finds_the_graders_socket(services: dict[str, Any], name: str) -> None:
    [directory] = [volume.split(":")[1] for volume in services[name]["volumes"] if volume.startswith("grader:")]
    assert services[name]["environment"]["RFT_GRADER_SOCKET"] == f"{directory}/socket"
    stage = dockerfile.read(ROOT / "Dockerfile")["grader"]
    assert f"{directory}/socket" in stage.all("CMD")[-1]


def test_only_api_and_grafana_are_published_and_to_this_machine_alone(services: dict[str, Any]) -> None:
    published = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert set(published) == {"api", "grafana"}
    assert all("127.0.0.1:" in port for ports in published.values() for port in ports)


@pytest.mark.parametrize("name", ["postgres", "redis", "s3", "sampler", "scheduler", "migrate"])
def test_what_nobody_outside_needs_is_out_of_reach(compose: dict[str, Any], services: dict[str, Any], name: str) -> None:
    assert services[name]["networks"] == ["backend"]
    assert compose["networks"]["backend"]["internal"] is True


@pytest.mark.parametrize("name", ["api", "worker-cpu", "worker-gpu", "worker-light", "scheduler"])
def test_nobody_uses_the_database_before_it_is_migrated(services: dict[str, Any], name: str) -> None:
    assert services[name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}


def test_redis_forgets_nothing_for_want_of_memory_and_survives_its_restart(services: dict[str, Any]) -> None:
    command = services["redis"]["command"]
    assert command[command.index("--maxmemory-policy") + 1] == "noeviction"
    assert command[command.index("--appendonly") + 1] == "yes"
    assert services["redis"]["volumes"]


def test_one_of_two_profiles_brings_the_worker(services: dict[str, Any]) -> None:
    profiles = {name: service["profiles"] for name, service in services.items() if "profiles" in service}
    assert profiles == {
        "worker-cpu": ["cpu"],
        "worker-gpu": ["gpu"],
        "prometheus": ["monitoring"],
        "grafana": ["monitoring"],
    }


def test_the_services_settings_are_good(services: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    made = script("make_secrets").contents()
    for name in OURS:
        with monkeypatch.context() as patch:
            for file in secret_files(services[name]):
                for variable, value in made[file].items():
                    patch.setenv(variable, value)
            for variable, value in services[name].get("environment", {}).items():
                patch.setenv(variable, "" if value.startswith("${") else value)
            Settings()


def test_the_models_file_is_good() -> None:
    assert ModelRegistry.load(Settings(models=ROOT / "deploy" / "models.yaml")).list()
