"""Which id each field of the document wants. What is neither here nor among `FREE` fails the matrix of foreign objects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.integration.api.conftest import GRADER
from tests.openapi.document import Operation, Path, branches
from tests.openapi.world import ADMIN_KEY, SUCCEEDED, job_body, upload_body

Json = dict[str, Any]

PATHS = {
    "job_id": "job",
    "checkpoint": "checkpoint",
    "file_id": "file",
    "upload_id": "upload",
    "model": "model",
    "permission_id": "permission",
    "eval_id": "eval",
    "run_id": "run",
    "item_id": "output_item",
    "webhook_endpoint_id": "endpoint",
    "project_id": "project",
    "rate_limit_id": "rate_limit",
    "account_id": "account",
    "key_id": "key",
}
"""Parameters of paths, each of which names an object."""

CURSORS = {
    "/v1/fine_tuning/jobs": "job",
    "/v1/fine_tuning/overview": "job",
    "/v1/fine_tuning/jobs/{job_id}/events": "event",
    "/v1/fine_tuning/jobs/{job_id}/checkpoints": "checkpoint",
    "/v1/fine_tuning/checkpoints/{model}/permissions": "permission",
    "/v1/files": "file",
    "/v1/evals": "eval",
    "/v1/evals/{eval_id}/runs": "run",
    "/v1/evals/{eval_id}/runs/{run_id}/output_items": "output_item",
    "/v1/webhook_endpoints": "endpoint",
    "/v1/webhook_endpoints/{webhook_endpoint_id}/deliveries": "delivery",
    "/v1/organization/projects/{project_id}/service_accounts": "account",
    "/v1/organization/projects/{project_id}/api_keys": "key",
    "/v1/organization/projects/{project_id}/rate_limits": "rate_limit",
}
"""What `after` names in each list."""

BODY_FIELDS: dict[tuple[str, Path], str] = {
    ("POST /v1/fine_tuning/jobs", ("model",)): "tuned_model",
    ("POST /v1/fine_tuning/jobs", ("training_file",)): "file",
    ("POST /v1/fine_tuning/jobs", ("validation_file",)): "file",
    ("POST /v1/fine_tuning/plan", ("training_file",)): "file",
    ("POST /v1/fine_tuning/plan", ("validation_file",)): "file",
    ("POST /v1/uploads/{upload_id}/complete", ("part_ids", 0)): "part",
    ("POST /v1/chat/completions", ("model",)): "model",
    ("POST /v1/responses", ("model",)): "model",
}
"""Fields of bodies that name objects."""

FREE_PARAMETERS = {
    ("GET /v1/files", "purpose"): "a word",
    ("GET /v1/fine_tuning/jobs/{job_id}/rollouts", "after"): "counts within a job: the same in every project",
    ("GET /v1/fine_tuning/jobs/{job_id}/rollouts", "error"): "a kind of error",
    ("GET /v1/fine_tuning/jobs/{job_id}/rollouts", "contains"): "any text",
    ("GET /v1/fine_tuning/jobs/{job_id}/rollouts/groups", "after"): "counts within a job: the same in every project",
    ("GET /v1/fine_tuning/checkpoints/{model}/permissions", "project_id"): "a filter: projects are named to be granted to",
    ("GET /v1/fine_tuning/overview", "search"): "any text",
    ("GET /v1/fine_tuning/jobs/{job_id}/stream", "last_event_id"): "a number within the job",
    ("GET /v1/fine_tuning/usage", "page"): "a moment: the same in every project",
    ("GET /v1/fine_tuning/usage", "models"): "a filter: names that are not there match nothing",
    ("GET /v1/fine_tuning/usage", "models[]"): "as `models`",
    ("GET /v1/organization/usage/fine_tuning", "page"): "a moment",
    ("GET /v1/organization/admin_api_keys", "after"): "admin keys belong to no project",
    ("GET /v1/organization/projects", "after"): "projects belong to the organization",
    ("GET /v1/organization/projects/{project_id}/rate_limits", "before"): "accepted and not looked up",
}
"""Parameters of queries that hold any text and name no object of a project, and why."""

FREE_FIELDS = {
    "name", "suffix", "filename", "mime_type", "purpose", "md5", "url", "text", "refusal", "content", "role", "stop",
    "arguments", "output", "input", "instructions", "effort", "description", "tool_choice", "model_sample", "entity", "project",
    "include", "modalities", "scopes", "tags", "call_id", "key", "api_key", "link",
}  # fmt: skip
"""Names of fields of bodies that hold any text and name no object of a project."""

FREE_BODIES = {
    ("POST /v1/fine_tuning/checkpoints/{model}/permissions", ("project_ids", 0)): "projects are named to be granted to",
}


def path_kind(operation: Operation, name: str) -> str:
    """What a parameter of a path names."""
    if operation.path.startswith("/v1/organization/admin_api_keys"):
        return "admin_key"
    return PATHS[name]


def kinds(operation: Operation) -> dict[tuple[str, Path], str]:
    """Every field of the operation that names an object, with the kind of object. Fails for a field that nobody has decided."""
    found: dict[tuple[str, Path], str] = {("path", (name,)): path_kind(operation, name) for name in operation.parameters("path")}
    for name in operation.parameters("query"):
        if name == "after" and operation.path in CURSORS:
            found["query", (name,)] = CURSORS[operation.path]
    for path, _ in operation.leaves():
        if (operation.name, path) in BODY_FIELDS:
            found["body", path] = BODY_FIELDS[operation.name, path]
    return found


def body(operation: Operation, ids: Mapping[str, str]) -> Json:
    """A body that the operation accepts, for the owner of these ids: written down where more is needed than required fields."""
    said = [{"role": "user", "content": "hello"}]
    bodies: dict[str, Json] = {
        "POST /v1/fine_tuning/jobs": job_body(ids["file"]),
        "POST /v1/fine_tuning/plan": {"training_file": ids["file"]},
        "POST /v1/uploads": upload_body(),
        "POST /v1/uploads/{upload_id}/complete": {"part_ids": [ids["part"]]},
        "POST /v1/fine_tuning/alpha/graders/validate": {"grader": dict(GRADER)},
        "POST /v1/fine_tuning/alpha/graders/run": {"grader": dict(GRADER), "model_sample": "4", "item": {"answer": "4"}},
        "POST /v1/chat/completions": {"model": "tiny", "messages": said},
        "POST /v1/responses": {"model": "tiny", "input": said},
        "POST /v1/fine_tuning/checkpoints/{model}/permissions": {"project_ids": ["proj_third"]},
        "POST /v1/webhook_endpoints": {"name": "x", "url": "https://hooks.example.com/", "event_types": [SUCCEEDED]},
        "POST /v1/webhook_endpoints/{webhook_endpoint_id}": {"name": "other"},
        "POST /v1/webhook_endpoints/{webhook_endpoint_id}/test": {"event_type": SUCCEEDED},
        "POST /v1/organization/admin_api_keys": {"name": "x"},
        "POST /v1/organization/projects": {"name": "x"},
        "POST /v1/organization/projects/{project_id}": {"name": "x"},
        "POST /v1/organization/projects/{project_id}/service_accounts": {"name": "x"},
        "POST /v1/organization/projects/{project_id}/service_accounts/{account_id}": {"name": "x"},
        "POST /v1/organization/projects/{project_id}/api_keys/{key_id}": {"scopes": []},
    }
    return bodies.get(operation.name) or minimal(operation.body, operation.document)


def minimal(schema: Any, document: Json) -> Any:
    """The smallest value of a schema: required fields alone. A field named `grader` gets one that works."""
    chosen = next(branches(schema, document))
    if "enum" in chosen or "const" in chosen:
        return chosen.get("const", chosen.get("enum", [None])[0])
    kind = chosen.get("type")
    if kind == "object":
        fields = chosen.get("properties", {})
        needed = {name: minimal(fields[name], document) for name in chosen.get("required", ())}
        return needed | ({"grader": dict(GRADER)} if "grader" in needed else {})
    if kind == "array":
        return [minimal(chosen["items"], document)] * int(chosen.get("minItems", 0))
    return {"string": "x", "integer": chosen.get("minimum", 1), "number": chosen.get("minimum", 1), "boolean": False}.get(
        str(kind)
    )


def key_of(operation: Operation, own: str) -> str:
    """The key that opens the operation: a tenant's `own`, or the administrator's."""
    return ADMIN_KEY if operation.is_administrators else own
