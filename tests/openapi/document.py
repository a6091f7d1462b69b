"""The OpenAPI document as a list of operations, with the fields of their paths, queries and bodies."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]
Step = str | int
Path = tuple[Step, ...]


@dataclass(frozen=True)
class Operation:
    """One method of one path."""

    method: str
    path: str
    spec: Json
    document: Json

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def is_administrators(self) -> bool:
        return self.path.startswith("/v1/organization") or self.path == "/metrics"

    def parameters(self, where: str) -> dict[str, Json]:
        """The schemas of its parameters in `path`, `query` or `header`, by name."""
        return {it["name"]: it["schema"] for it in self.spec.get("parameters", ()) if it["in"] == where}

    @property
    def body(self) -> Json | None:
        """The schema of its JSON body."""
        content = self.spec.get("requestBody", {}).get("content", {})
        found: Json | None = content.get("application/json", {}).get("schema")
        return found

    def leaves(self) -> list[tuple[Path, Json]]:
        """Every field of the JSON body at any depth, with its schema; `0` stands for the members of an array."""
        return [] if self.body is None else list(_fields(self.body, (), self.document))

    def reply_schema(self, status: int, media_type: str) -> Json:
        """What the document says of a reply; fails where it says nothing."""
        response = self.spec["responses"].get(str(status))
        assert response is not None, f"{self.name}: the status {status} is undocumented"
        assert media_type in response["content"], f"{self.name}: {media_type} is undocumented for {status}"
        schema: Json = response["content"][media_type].get("schema", {})
        return {**schema, "components": self.document["components"]}


def operations(document: Json) -> list[Operation]:
    return [
        Operation(method.upper(), path, spec, document)
        for path, methods in document["paths"].items()
        for method, spec in methods.items()
    ]


def _fields(schema: Json, at: Path, document: Json) -> Iterator[tuple[Path, Json]]:
    for branch in branches(schema, document):
        for name, inner in branch.get("properties", {}).items():
            yield (*at, name), inner
            yield from _fields(inner, (*at, name), document)
        if isinstance(branch.get("items"), dict):
            yield (*at, 0), branch["items"]
            yield from _fields(branch["items"], (*at, 0), document)


def branches(schema: Json, document: Json) -> Iterator[Json]:
    """The schema with references resolved, then the branches of its unions."""
    if "$ref" in schema:
        yield from branches(document["components"]["schemas"][schema["$ref"].rpartition("/")[2]], document)
        return
    yield schema
    for union in ("anyOf", "oneOf", "allOf"):
        for branch in schema.get(union, ()):
            yield from branches(branch, document)


def holds_text(schema: Json, document: Json) -> bool:
    """Whether any text fits: no enumeration, no other type."""
    return any(it.get("type") == "string" and "enum" not in it and "const" not in it for it in branches(schema, document))


def within(value: Any, path: Path) -> Any:
    """What stands at a path of a JSON value; raises `LookupError`, or `TypeError` where the path leads through no container."""
    for step in path:
        if isinstance(value, str):
            raise TypeError("text contains no fields")
        value = value[step]
    return value


def replaced(value: Any, path: Path, new: Any) -> Any:
    """A copy of a JSON value with something else at the path, which is made where it does not exist."""
    if not path:
        return new
    step, rest = path[0], path[1:]
    if isinstance(step, int):
        members = list(value) if isinstance(value, list) else []
        return [replaced(members[0] if members else None, rest, new), *members[1:]]
    return {**(value if isinstance(value, dict) else {}), step: replaced((value or {}).get(step), rest, new)}


def dotted(path: Path) -> str:
    """`("a", "b", 0)` as clients write it: `a.b[0]`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text
