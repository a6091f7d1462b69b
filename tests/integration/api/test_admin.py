"""Projects, keys and limits through `client.admin.organization` of OpenAI's own client, lax and strict."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2
import openai
import pytest

from core.settings import DEFAULT_PROJECT
from tests.integration.api.conftest import KEY, Fresh, Service

ADMIN_KEY = "sk-admin-of-the-tests"
PROJECTS = "/v1/organization/projects"


@pytest.fixture(scope="module")
def managed(tmp_path_factory: pytest.TempPathFactory, fresh: Fresh) -> Iterator[Service]:
    settings = fresh.settings(tmp_path_factory.mktemp("managed"), admin_key=ADMIN_KEY)
    with fresh.running(settings) as service:
        yield service


@pytest.fixture(params=["lax", "strict"])
def organization(managed: Service, request: pytest.FixtureRequest) -> Iterator[Any]:
    strict = request.param == "strict"
    with managed.client(admin_api_key=ADMIN_KEY, _strict_response_validation=strict) as client:
        yield client.admin.organization


@pytest.fixture
def admin(managed: Service) -> Iterator[httpx2.Client]:
    with managed.http(ADMIN_KEY) as http:
        yield http


def opens(managed: Service, secret: str, path: str = "/v1/files") -> int:
    with managed.http(secret) as http:
        return http.get(path).status_code


def test_a_project_can_be_made_renamed_and_found(organization: Any) -> None:
    made = organization.projects.create(name="Team A")
    organization.projects.update(made.id, name="Team B")
    found = organization.projects.retrieve(made.id)
    assert (found.name, found.status, found.archived_at) == ("Team B", "active", None)


def test_projects_are_listed_page_by_page(organization: Any) -> None:
    made = [organization.projects.create(name=f"paged {number}").id for number in range(3)]
    listed = [project.id for project in organization.projects.list(limit=1)]
    assert [project for project in listed if project in made] == made[::-1]
    assert DEFAULT_PROJECT in listed


def test_an_archived_project_is_listed_only_when_asked_for(organization: Any) -> None:
    made = organization.projects.create(name="old")
    assert organization.projects.archive(made.id).status == "archived"
    assert made.id not in [project.id for project in organization.projects.list()]
    assert made.id in [project.id for project in organization.projects.list(include_archived=True)]


def test_the_default_project_cannot_be_archived(organization: Any) -> None:
    with pytest.raises(openai.BadRequestError):
        organization.projects.archive(DEFAULT_PROJECT)


def test_a_service_account_comes_with_a_key_that_opens_its_project(organization: Any, managed: Service) -> None:
    project = organization.projects.create(name="with account")
    account = organization.projects.service_accounts.create(project.id, name="ci")
    assert opens(managed, account.api_key.value) == 200


def test_a_service_account_can_come_without_a_key(organization: Any) -> None:
    project = organization.projects.create(name="bare account")
    account = organization.projects.service_accounts.create(project.id, name="ci", create_service_account_only=True)
    assert (account.api_key, account.role) == (None, "none")


def test_service_accounts_can_be_listed_and_changed(organization: Any) -> None:
    project = organization.projects.create(name="accounts")
    account = organization.projects.service_accounts.create(project.id, name="ci")
    organization.projects.service_accounts.update(account.id, project_id=project.id, name="cd")
    assert [found.name for found in organization.projects.service_accounts.list(project.id)] == ["cd"]
    assert organization.projects.service_accounts.retrieve(account.id, project_id=project.id).name == "cd"


def test_a_deleted_service_account_takes_its_keys_along(organization: Any, managed: Service) -> None:
    project = organization.projects.create(name="short")
    account = organization.projects.service_accounts.create(project.id, name="ci")
    assert organization.projects.service_accounts.delete(account.id, project_id=project.id).deleted
    assert opens(managed, account.api_key.value) == 401


def test_a_service_account_can_have_a_restricted_key(organization: Any, managed: Service) -> None:
    project = organization.projects.create(name="restricted")
    account = organization.projects.service_accounts.create(project.id, name="ci")
    key = organization.projects.service_accounts.api_keys.create(
        account.id, project_id=project.id, name="reader", scopes=["api.files.read"], expires_in_seconds=3600
    )
    assert (opens(managed, key.value), opens(managed, key.value, "/v1/models")) == (200, 403)
    assert key.expires_at == key.created_at + 3600


def test_keys_are_listed_with_their_owners_and_without_their_secrets(organization: Any) -> None:
    project = organization.projects.create(name="listed")
    account = organization.projects.service_accounts.create(project.id, name="ci")
    (key,) = organization.projects.api_keys.list(project.id)
    assert (key.id, key.owner.service_account.id) == (account.api_key.id, account.id)
    assert account.api_key.value not in key.to_json()


def test_a_key_s_scopes_can_be_changed(organization: Any, managed: Service) -> None:
    project = organization.projects.create(name="changed")
    key = organization.projects.service_accounts.create(project.id, name="ci").api_key
    organization.projects.api_keys.update(key.id, project_id=project.id, scopes=["api.models.read"])
    assert opens(managed, key.value) == 403


def test_a_deleted_key_opens_nothing(organization: Any, managed: Service) -> None:
    project = organization.projects.create(name="deleted")
    key = organization.projects.service_accounts.create(project.id, name="ci").api_key
    assert organization.projects.api_keys.delete(key.id, project_id=project.id).deleted
    assert opens(managed, key.value) == 401
    with pytest.raises(openai.NotFoundError):
        organization.projects.api_keys.retrieve(key.id, project_id=project.id)


def test_a_key_made_on_the_command_line_belongs_to_the_operator(organization: Any, managed: Service) -> None:
    project = organization.projects.create(name="by hand")
    key, _ = managed.context.keys.create(project.id, "by hand")
    assert organization.projects.api_keys.retrieve(key.id, project_id=project.id).owner.user.name == "operator"


def test_a_rotated_key_and_the_old_one_both_work(organization: Any, managed: Service, admin: httpx2.Client) -> None:
    project = organization.projects.create(name="rotated")
    old = organization.projects.service_accounts.create(project.id, name="ci").api_key
    new = admin.post(f"{PROJECTS}/{project.id}/api_keys/{old.id}/rotate", json={"overlap_seconds": 60}).json()
    assert (opens(managed, old.value), opens(managed, new["value"])) == (200, 200)


def test_a_key_rotated_without_overlap_ends_at_once(organization: Any, managed: Service, admin: httpx2.Client) -> None:
    project = organization.projects.create(name="rotated")
    old = organization.projects.service_accounts.create(project.id, name="ci").api_key
    admin.post(f"{PROJECTS}/{project.id}/api_keys/{old.id}/rotate", json={"overlap_seconds": 0})
    assert opens(managed, old.value) == 401


def test_a_project_s_rate_limit_can_be_changed(organization: Any, managed: Service) -> None:
    project = organization.projects.create(name="slow")
    (limit,) = organization.projects.rate_limits.list_rate_limits(project.id)
    organization.projects.rate_limits.update_rate_limit(limit.id, project_id=project.id, max_requests_per_1_minute=1)
    key = organization.projects.service_accounts.create(project.id, name="ci").api_key.value
    assert (opens(managed, key), opens(managed, key)) == (200, 429)


def test_other_limits_have_a_route_of_their_own(organization: Any, admin: httpx2.Client) -> None:
    project = organization.projects.create(name="limited").id
    changed = admin.post(f"{PROJECTS}/{project}/limits", json={"max_running_jobs": 2}).json()
    assert changed["max_running_jobs"] == changed["own"]["max_running_jobs"] == 2
    restored = admin.post(f"{PROJECTS}/{project}/limits", json={"max_running_jobs": None}).json()
    assert restored["max_running_jobs"] is None


def test_admin_keys_can_be_made_listed_and_deleted(organization: Any, managed: Service) -> None:
    made = organization.admin_api_keys.create(name="second")
    assert opens(managed, made.value, PROJECTS) == 200
    assert made.id in [key.id for key in organization.admin_api_keys.list()]
    assert organization.admin_api_keys.retrieve(made.id).last_used_at is not None
    assert organization.admin_api_keys.delete(made.id).deleted
    assert opens(managed, made.value, PROJECTS) == 401


@pytest.mark.parametrize(
    ("key", "status"), [(None, 401), ("sk-wrong", 401), (KEY, 403), ("rft_admin_" + "x" * 43, 401), (ADMIN_KEY, 200)]
)
def test_only_admin_keys_open_admin_routes(managed: Service, key: str | None, status: int) -> None:
    with managed.http(key) as http:
        assert http.get(PROJECTS).status_code == status


def test_an_admin_key_opens_no_project(managed: Service, organization: Any) -> None:
    made = organization.admin_api_keys.create(name="manager")
    assert (opens(managed, ADMIN_KEY), opens(managed, made.value)) == (403, 403)


def test_without_an_admin_key_the_routes_stay_shut(service: Service) -> None:
    assert opens(service, ADMIN_KEY, PROJECTS) == 401


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (PROJECTS, {}),
        (PROJECTS, {"name": ""}),
        (PROJECTS, {"name": "a\nb"}),
        (PROJECTS, {"name": "x" * 256}),
        (f"{PROJECTS}/{DEFAULT_PROJECT}/service_accounts", {"name": "ci", "scopes": ["root"]}),
        (f"{PROJECTS}/{DEFAULT_PROJECT}/service_accounts", {"name": "ci", "expires_in_seconds": 0}),
        (f"{PROJECTS}/{DEFAULT_PROJECT}/limits", {"max_running_jobs": -1}),
        (f"{PROJECTS}/{DEFAULT_PROJECT}/limits", {"requests_per_minute": 0}),
        (f"{PROJECTS}/{DEFAULT_PROJECT}/limits", {"max_stored_bytes": 2**70}),
        (f"{PROJECTS}/{DEFAULT_PROJECT}/limits", {"max_dreams": 1}),
    ],
)
def test_what_makes_no_sense_is_a_400(admin: httpx2.Client, path: str, body: dict[str, Any]) -> None:
    reply = admin.post(path, json=body)
    assert (reply.status_code, reply.json()["error"]["type"]) == (400, "invalid_request_error")


@pytest.mark.parametrize("path", ["", "/service_accounts", "/api_keys", "/rate_limits", "/limits"])
def test_what_belongs_to_no_project_is_a_404(admin: httpx2.Client, path: str) -> None:
    assert admin.get(f"{PROJECTS}/proj_none{path}").status_code == 404


def test_one_project_s_key_is_not_found_in_another(admin: httpx2.Client, managed: Service, organization: Any) -> None:
    key, _ = managed.context.keys.create(DEFAULT_PROJECT, "ours")
    other = organization.projects.create(name="other").id
    assert admin.get(f"{PROJECTS}/{other}/api_keys/{key.id}").status_code == 404
    assert admin.delete(f"{PROJECTS}/{other}/api_keys/{key.id}").status_code == 404
