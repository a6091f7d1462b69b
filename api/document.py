"""The OpenAPI document: what FastAPI knows of the routes, and what all of them have in common."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from api.objects import ErrorReply

Json = dict[str, Any]

_ERRORS = {
    400: "The request is wrong: `param` names the field at fault",
    401: "No key, or one that opens nothing",
    403: "The key is good, but not for this",
    404: "There is no such object in the key's project",
    408: "The body came to a standstill",
    413: "The body or the file is over its limit",
    429: "Too many requests, or too much in use",
    500: "The server failed",
    503: "A part of the service cannot answer now",
    507: "The storage is full",
}
_ANYWHERE = (400, 413, 500)
_WITH_KEY = (401, 403, 429, 503)
_GUARDED = ("/v1/", "/dashboard/", "/metrics")
_STORING = ("/v1/files", "/v1/uploads")


class DocumentedApp(FastAPI):
    """An app whose document names the errors of every route, in the envelope in which they come."""

    def openapi(self) -> Json:
        """The document; made once."""
        if self.openapi_schema is None:
            document = super().openapi()
            schemas: Json = document.setdefault("components", {}).setdefault("schemas", {})
            for path, operations in document["paths"].items():
                for method, operation in operations.items():
                    _lift_definitions(operation, schemas)
                    _add_errors(operation, _statuses(path, method, operation))
            schemas |= _definitions(ErrorReply.model_json_schema(ref_template="#/components/schemas/{model}"))
            for name in ("HTTPValidationError", "ValidationError"):
                schemas.pop(name, None)
        assert self.openapi_schema is not None
        return self.openapi_schema


def _statuses(path: str, method: str, operation: Json) -> list[int]:
    statuses = set(_ANYWHERE)
    if "requestBody" in operation:
        statuses.add(408)
    if path.startswith(_GUARDED):
        statuses.update(_WITH_KEY)
    names_objects = "{" in path or any(parameter["name"] == "after" for parameter in operation.get("parameters", ()))
    if names_objects or (method == "post" and "requestBody" in operation):
        statuses.add(404)
    if method == "post" and path.startswith(_STORING):
        statuses.add(507)
    return sorted(statuses)


def _add_errors(operation: Json, statuses: list[int]) -> None:
    responses = operation["responses"]
    responses.pop("422", None)  # FastAPI's own error for wrong parameters, which is a 400 here
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorReply"}}}
    for status in statuses:
        responses.setdefault(str(status), {"description": _ERRORS[status], "content": content})


def _lift_definitions(operation: Json, schemas: Json) -> None:
    """Definitions within a body's schema become components, where the document's references look for them."""
    for media in operation.get("requestBody", {}).get("content", {}).values():
        definitions = media["schema"].pop("$defs", {})
        names = {name: f"{media['schema'].get('title', 'Body')}.{name}" for name in definitions}
        for name, definition in definitions.items():
            schemas[names[name]] = _renamed(definition, names)
        media["schema"] = _renamed(media["schema"], names)


def _renamed(value: Any, names: dict[str, str]) -> Any:
    """The schema with its references to definitions made references to components."""
    if isinstance(value, list):
        return [_renamed(item, names) for item in value]
    if not isinstance(value, dict):
        return value
    renamed = {key: _renamed(item, names) for key, item in value.items()}
    reference = value.get("$ref")
    if isinstance(reference, str):
        renamed["$ref"] = f"#/components/schemas/{names[reference.rpartition('/')[2]]}"
    mapping = value.get("mapping")
    if isinstance(mapping, dict) and "propertyName" in value:
        renamed["mapping"] = {key: f"#/components/schemas/{names[str(to).rpartition('/')[2]]}" for key, to in mapping.items()}
    return renamed


def _definitions(schema: Json) -> Json:
    """A model's schema and those that it refers to, by name."""
    inner: Json = schema.pop("$defs", {})
    return {**inner, schema["title"]: schema}
