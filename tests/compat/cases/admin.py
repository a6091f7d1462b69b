"""`client.admin.organization`, with an admin key."""

from __future__ import annotations

from typing import Any

import pytest
from openai import AuthenticationError, NotFoundError, OpenAI, PermissionDeniedError

from tests.compat.cases.base import proves
from tests.compat.world import World

ORGANIZATION = "admin.organization"
KEYS, PROJECTS = f"{ORGANIZATION}.admin_api_keys", f"{ORGANIZATION}.projects"
ACCOUNTS = f"{PROJECTS}.service_accounts"
RATES = f"{PROJECTS}.rate_limits"


def new_project(client: OpenAI) -> Any:
    return client.admin.organization.projects.create(name="mine")


def new_account(client: OpenAI, project_id: str) -> Any:
    return client.admin.organization.projects.service_accounts.create(project_id, name="robot")


@proves(f"{KEYS}.create")
def create_admin_key(client: OpenAI, world: World) -> None:
    made = client.admin.organization.admin_api_keys.create(name="deputy", expires_in_seconds=3600)
    assert (made.object, made.name) == ("organization.admin_api_key", "deputy")
    with world.client(admin_api_key=made.value) as deputy:
        assert new_project(deputy).name == "mine"
    with world.client(admin_api_key="sk-of-the-compatibility-suite") as nobody, pytest.raises(PermissionDeniedError):
        new_project(nobody)


@proves(f"{KEYS}.list")
def list_admin_keys(client: OpenAI, world: World) -> None:
    made = [client.admin.organization.admin_api_keys.create(name="deputy").id for _ in range(2)]
    assert [key.id for key in client.admin.organization.admin_api_keys.list(limit=1, order="desc")][:2] == made[::-1]


@proves(f"{KEYS}.retrieve")
def retrieve_admin_key(client: OpenAI, world: World) -> None:
    made = client.admin.organization.admin_api_keys.create(name="deputy")
    found = client.admin.organization.admin_api_keys.retrieve(made.id)
    assert (found.id, found.name, found.redacted_value) == (made.id, "deputy", made.redacted_value)
    assert made.value not in found.to_json()


@proves(f"{KEYS}.delete")
def delete_admin_key(client: OpenAI, world: World) -> None:
    made = client.admin.organization.admin_api_keys.create(name="deputy")
    gone = client.admin.organization.admin_api_keys.delete(made.id)
    assert (gone.id, gone.deleted) == (made.id, True)
    with world.client(admin_api_key=made.value) as deputy, pytest.raises(AuthenticationError):
        new_project(deputy)


@proves(f"{PROJECTS}.create")
def create_project(client: OpenAI, world: World) -> None:
    made = new_project(client)
    assert (made.object, made.name, made.status, made.archived_at) == ("organization.project", "mine", "active", None)
    assert made.id.startswith("proj_")


@proves(f"{PROJECTS}.list")
def list_projects(client: OpenAI, world: World) -> None:
    made = new_project(client).id
    assert {made, "proj_default"} <= {project.id for project in client.admin.organization.projects.list(limit=2)}


@proves(f"{PROJECTS}.retrieve")
def retrieve_project(client: OpenAI, world: World) -> None:
    made = new_project(client)
    assert client.admin.organization.projects.retrieve(made.id) == made


@proves(f"{PROJECTS}.update")
def update_project(client: OpenAI, world: World) -> None:
    made = new_project(client)
    assert client.admin.organization.projects.update(made.id, name="renamed").name == "renamed"


@proves(f"{PROJECTS}.archive")
def archive_project(client: OpenAI, world: World) -> None:
    made = new_project(client)
    secret = new_account(client, made.id).api_key.value
    assert client.admin.organization.projects.archive(made.id).status == "archived"
    assert made.id not in {project.id for project in client.admin.organization.projects.list()}
    with world.client(api_key=secret) as shut_out, pytest.raises(PermissionDeniedError):
        shut_out.models.list()


@proves(f"{ACCOUNTS}.create")
def create_account(client: OpenAI, world: World) -> None:
    project = new_project(client)
    made = new_account(client, project.id)
    assert (made.object, made.name, made.role) == ("organization.project.service_account", "robot", "member")
    with world.client(api_key=made.api_key.value, project=project.id) as robot:
        assert robot.models.retrieve("tiny").id == "tiny"
        with pytest.raises(NotFoundError):
            robot.fine_tuning.jobs.retrieve(world.job.id)


@proves(f"{ACCOUNTS}.list")
def list_accounts(client: OpenAI, world: World) -> None:
    project = new_project(client).id
    made = [new_account(client, project).id for _ in range(2)]
    listed = client.admin.organization.projects.service_accounts.list(project, limit=1)
    assert [account.id for account in listed] == made[::-1]


@proves(f"{ACCOUNTS}.retrieve")
def retrieve_account(client: OpenAI, world: World) -> None:
    project = new_project(client).id
    made = new_account(client, project)
    found = client.admin.organization.projects.service_accounts.retrieve(made.id, project_id=project)
    assert (found.id, found.name, found.role) == (made.id, "robot", "member")


@proves(f"{ACCOUNTS}.update")
def update_account(client: OpenAI, world: World) -> None:
    project = new_project(client).id
    accounts = client.admin.organization.projects.service_accounts
    changed = accounts.update(new_account(client, project).id, project_id=project, name="renamed", role="owner")
    assert (changed.name, changed.role) == ("renamed", "owner")


@proves(f"{ACCOUNTS}.delete")
def delete_account(client: OpenAI, world: World) -> None:
    project = new_project(client).id
    made = new_account(client, project)
    gone = client.admin.organization.projects.service_accounts.delete(made.id, project_id=project)
    assert (gone.id, gone.deleted) == (made.id, True)
    with world.client(api_key=made.api_key.value) as robot, pytest.raises(AuthenticationError):
        robot.models.list()


@proves(f"{ACCOUNTS}.api_keys.create")
def create_key(client: OpenAI, world: World) -> None:
    project = new_project(client).id
    account = new_account(client, project).id
    keys = client.admin.organization.projects.service_accounts.api_keys
    made = keys.create(account, project_id=project, name="second", expires_in_seconds=60)
    assert (made.name, made.expires_at) == ("second", made.created_at + 60)
    with world.client(api_key=made.value) as robot:
        assert robot.files.list().data == []


@proves(f"{PROJECTS}.api_keys.list")
def list_keys(client: OpenAI, world: World) -> None:
    project = new_project(client).id
    account = new_account(client, project)
    (key,) = client.admin.organization.projects.api_keys.list(project)
    assert (key.id, key.owner.type, key.owner.service_account.id) == (account.api_key.id, "service_account", account.id)


@proves(f"{PROJECTS}.api_keys.retrieve")
def retrieve_key(client: OpenAI, world: World) -> None:
    project = new_project(client).id
    made = new_account(client, project).api_key
    found = client.admin.organization.projects.api_keys.retrieve(made.id, project_id=project)
    assert (found.id, found.object) == (made.id, "organization.project.api_key")
    assert made.value not in found.to_json()


@proves(f"{PROJECTS}.api_keys.update")
def update_key(client: OpenAI, world: World) -> None:
    project = new_project(client).id
    made = new_account(client, project).api_key
    keys = client.admin.organization.projects.api_keys
    changed = keys.update(made.id, project_id=project, scopes=["api.files.read"], expires_in_seconds=600)
    assert changed.expires_at >= made.created_at + 600
    with world.client(api_key=made.value) as robot:
        assert robot.files.list().data == []
        with pytest.raises(PermissionDeniedError):
            robot.fine_tuning.jobs.list()


@proves(f"{PROJECTS}.api_keys.delete")
def delete_key(client: OpenAI, world: World) -> None:
    project = new_project(client).id
    made = new_account(client, project).api_key
    gone = client.admin.organization.projects.api_keys.delete(made.id, project_id=project)
    assert (gone.id, gone.deleted) == (made.id, True)
    with world.client(api_key=made.value) as robot, pytest.raises(AuthenticationError):
        robot.models.list()


@proves(f"{RATES}.list_rate_limits")
def list_rate_limits(client: OpenAI, world: World) -> None:
    (limit,) = client.admin.organization.projects.rate_limits.list_rate_limits(new_project(client).id)
    assert (limit.object, limit.max_requests_per_1_minute > 0) == ("project.rate_limit", True)


@proves(f"{RATES}.update_rate_limit")
def update_rate_limit(client: OpenAI, world: World) -> None:
    project = new_project(client).id
    limits = client.admin.organization.projects.rate_limits
    (limit,) = limits.list_rate_limits(project)
    changed = limits.update_rate_limit(limit.id, project_id=project, max_requests_per_1_minute=7)
    assert changed.max_requests_per_1_minute == 7
    with world.client(api_key=new_account(client, project).api_key.value) as robot:
        assert robot.models.with_raw_response.list().headers["x-ratelimit-limit-requests"] == "7"
