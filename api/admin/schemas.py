"""Wire shapes of what administrators manage, as OpenAI's client names them under `client.admin.organization`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from core.limits.base import Limits
from core.projects import Project
from core.security.admin_keys import AdminKey
from core.security.keys import Key
from core.security.service_accounts import ServiceAccount

Json = dict[str, Any]

MAX_SECONDS = 100 * 365 * 86_400
UNLIMITED = 2**53 - 1
"""What stands for no limit where OpenAI's types want a number: the largest that every JSON reader holds."""

Seconds = Annotated[int, Field(ge=1, le=MAX_SECONDS)]
Overlap = Annotated[int, Field(ge=0, le=MAX_SECONDS)]
Name = Annotated[str, Field(min_length=1, max_length=255)]


class _Body(BaseModel):
    """Fields of OpenAI's that mean nothing here (residency, external keys) are ignored."""

    model_config = ConfigDict(extra="ignore")


class CreateProject(_Body):
    """The body of a new project."""

    name: Name


class UpdateProject(_Body):
    """What of a project changes."""

    name: Name | None = None


class CreateAccount(_Body):
    """The body of a new service account."""

    name: Name
    create_service_account_only: bool | None = None
    expires_in_seconds: Seconds | None = None
    scopes: list[str] = []


class UpdateAccount(_Body):
    """What of a service account changes."""

    name: Name | None = None
    role: Literal["member", "owner"] | None = None


class CreateKey(_Body):
    """The body of another key of a service account."""

    name: Name | None = None
    scopes: list[str] = []
    expires_in_seconds: Seconds | None = None


class UpdateKey(_Body):
    """What of a key changes."""

    scopes: list[str] | None = None
    expires_in_seconds: Seconds | None = None


class RotateKey(_Body):
    """How long the key that is replaced works on."""

    overlap_seconds: Overlap = 86_400


class CreateAdminKey(_Body):
    """The body of a new admin key."""

    name: Name
    expires_in_seconds: Seconds | None = None


class UpdateRateLimit(_Body):
    """A project's rate limit; limits on tokens, images and audio are ignored."""

    max_requests_per_1_minute: int | None = None


class UpdateLimits(BaseModel):
    """A project's own limits; null restores the service's default."""

    model_config = ConfigDict(extra="forbid")

    requests_per_minute: int | None = None
    max_running_jobs: int | None = None
    max_waiting_jobs: int | None = None
    max_stored_bytes: int | None = None


def project_object(project: Project) -> Json:
    """A project."""
    return {
        "id": project.id,
        "object": "organization.project",
        "name": project.name,
        "created_at": int(project.created_at),
        "archived_at": _seconds(project.archived_at),
        "status": "active" if project.archived_at is None else "archived",
        "external_key_id": None,
        "residency": None,
    }


def account_object(account: ServiceAccount) -> Json:
    """A service account."""
    return {
        "id": account.id,
        "object": "organization.project.service_account",
        "name": account.name,
        "role": account.role,
        "created_at": int(account.created_at),
    }


def new_key_object(key: Key, secret: str) -> Json:
    """A key that was just made, with its secret."""
    return {
        "id": key.id,
        "object": "organization.project.service_account.api_key",
        "name": key.name,
        "created_at": int(key.created_at),
        "expires_at": _seconds(key.expires_at),
        "value": secret,
    }


def key_object(key: Key, account: ServiceAccount | None) -> Json:
    """A project's key. Keys made on the command line belong to the operator, who has no address."""
    if account is None:
        user = {"id": "user-operator", "name": "operator", "email": "", "role": "owner", "created_at": int(key.created_at)}
        owner: Json = {"type": "user", "user": user, "service_account": None}
    else:
        shown = {name: value for name, value in account_object(account).items() if name != "object"}
        owner = {"type": "service_account", "service_account": shown, "user": None}
    return {
        "id": key.id,
        "object": "organization.project.api_key",
        "name": key.name,
        "redacted_value": key.hint,
        "created_at": int(key.created_at),
        "last_used_at": _seconds(key.last_used_at),
        "expires_at": _seconds(key.expires_at),
        "owner": owner,
        "owner_project_access": "active",
        "scopes": list(key.scopes),
    }


def admin_key_object(key: AdminKey, secret: str | None = None) -> Json:
    """An admin key, with its secret where it was just made."""
    return {
        "id": key.id,
        "object": "organization.admin_api_key",
        "name": key.name,
        "redacted_value": key.hint,
        "created_at": int(key.created_at),
        "last_used_at": _seconds(key.last_used_at),
        "expires_at": _seconds(key.expires_at),
        "owner": {"type": "user", "object": "organization.user", "id": "user-operator", "name": "operator", "role": "owner"},
        **({} if secret is None else {"value": secret}),
    }


def rate_limit_object(project: Project, default: Limits) -> Json:
    """The one rate limit of a project, for all models together. Tokens are not limited."""
    return {
        "id": f"rl-{project.id}",
        "object": "project.rate_limit",
        "model": "*",
        "max_requests_per_1_minute": project.requests_per_minute or default.requests_per_minute,
        "max_tokens_per_1_minute": UNLIMITED,
    }


def limits_object(project: Project, default: Limits) -> Json:
    """All limits of a project as they hold; `own` are those that differ from the service's defaults. Null is no limit."""
    own = {
        "requests_per_minute": project.requests_per_minute,
        "max_running_jobs": project.max_running_jobs,
        "max_waiting_jobs": project.max_waiting_jobs,
        "max_stored_bytes": project.max_stored_bytes,
    }
    held = {name: getattr(default, name) if value is None else value for name, value in own.items()}
    return {"object": "project.limits", "project_id": project.id, **held, "own": own}


def _seconds(moment: float | None) -> int | None:
    return None if moment is None else int(moment)
