"""What replies to administrators hold, for the OpenAPI document."""

from __future__ import annotations

from typing import Literal

from api.objects import Json, Reply

Role = Literal["member", "owner", "none"]


class ProjectObject(Reply):
    """A project, as `project_object` builds it."""

    id: str
    object: Literal["organization.project"]
    name: str
    created_at: int
    archived_at: int | None
    status: Literal["active", "archived"]
    external_key_id: None
    residency: None


class NewKeyObject(Reply):
    """A key that was just made, with its secret."""

    id: str
    object: Literal["organization.project.service_account.api_key"]
    name: str
    created_at: int
    expires_at: int | None
    value: str


class AccountObject(Reply):
    """A service account, as `account_object` builds it."""

    id: str
    object: Literal["organization.project.service_account"]
    name: str
    role: Role
    created_at: int


class NewAccountObject(AccountObject):
    """A service account that was just made, with its first key."""

    api_key: NewKeyObject | None


class KeyOwner(Reply):
    """Who holds a key."""

    type: Literal["user", "service_account"]
    user: Json | None
    service_account: Json | None


class KeyObject(Reply):
    """A project's key, as `key_object` builds it."""

    id: str
    object: Literal["organization.project.api_key"]
    name: str
    redacted_value: str
    created_at: int
    last_used_at: int | None
    expires_at: int | None
    owner: KeyOwner
    owner_project_access: Literal["active"]
    scopes: list[str]


class AdminKeyObject(Reply):
    """An admin key, as `admin_key_object` builds it."""

    id: str
    object: Literal["organization.admin_api_key"]
    name: str
    redacted_value: str
    created_at: int
    last_used_at: int | None
    expires_at: int | None
    owner: Json


class NewAdminKeyObject(AdminKeyObject):
    """An admin key that was just made, with its secret."""

    value: str


class RateLimitObject(Reply):
    """A project's rate limit, as `rate_limit_object` builds it."""

    id: str
    object: Literal["project.rate_limit"]
    model: str
    max_requests_per_1_minute: int
    max_tokens_per_1_minute: int


class LimitValues(Reply):
    """Limits, null for none."""

    requests_per_minute: int | None
    max_running_jobs: int | None
    max_waiting_jobs: int | None
    max_stored_bytes: int | None


class LimitsObject(LimitValues):
    """All limits of a project, as `limits_object` builds them."""

    object: Literal["project.limits"]
    project_id: str
    own: LimitValues
