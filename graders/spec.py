"""From a client's JSON to a checked configuration. `parse` is the only way in."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from pydantic import ValidationError

from core.errors import InvalidRequest
from graders.formula import is_variable_name
from graders.specs import MEMBERS_ONLY, TYPES
from graders.specs.base import GraderSpec
from graders.specs.multi import Multi
from graders.wording import invalid_type, invalid_value, missing, one_of, type_phrase

Json = dict[str, Any]


def parse(config: object, param: str = "grader") -> GraderSpec:
    """The checked configuration, names filled in. Raises `InvalidRequest` whose `param` is the path of the field at fault."""
    if isinstance(config, dict) and config.get("type") in MEMBERS_ONLY:
        message = f"Graders of type '{config['type']}' can only be members of a multi grader."
        raise InvalidRequest(message, param=f"{param}.type", code="invalid_value")
    return _parse(config, param, "")


def normalised(spec: GraderSpec) -> Json:
    """The configuration as `graders/validate` returns it: what was sent, with every name filled in."""
    return spec.model_dump(mode="json", exclude_unset=True)


def _parse(config: object, param: str, key: str) -> GraderSpec:
    if not isinstance(config, dict):
        raise invalid_type(param, "an object", config)
    model = _model(config, param)
    fields = dict(config)
    if fields.get("name") is None:
        fields["name"] = _generated_name(config, key)
    if model is Multi:
        fields["graders"] = _members(config, param)
    try:
        spec = model.model_validate(fields)
    except ValidationError as error:
        raise _as_invalid_request(error, param) from None
    spec.check(param)
    return spec


def _model(config: Json, param: str) -> type[GraderSpec]:
    kind = config.get("type")
    if "type" not in config:
        raise missing(f"{param}.type")
    if not isinstance(kind, str):
        raise invalid_type(f"{param}.type", "a string", kind)
    if kind not in TYPES:
        raise invalid_value(f"{param}.type", kind, [known for known in TYPES if known not in MEMBERS_ONLY])
    return TYPES[kind]


def _members(config: Json, param: str) -> dict[str, GraderSpec]:
    path = f"{param}.graders"
    members = config.get("graders")
    if "graders" not in config:
        raise missing(path)
    if not isinstance(members, dict):
        raise invalid_type(path, "an object", members)
    if not members:
        raise InvalidRequest(f"Invalid '{path}': expected at least one grader.", param=path, code="invalid_value")
    for key in sorted(members):
        _check_member(members[key], key, f"{path}.{key}")
    return {key: _parse(member, f"{path}.{key}", key) for key, member in members.items()}


def _check_member(member: object, key: str, path: str) -> None:
    if not isinstance(member, dict):
        raise invalid_type(path, "an object", member)
    if not is_variable_name(key):
        raise InvalidRequest(
            f"Invalid key '{key}' in 'graders': a formula cannot name it. Use letters, digits and underscores.",
            param=path,
            code="invalid_value",
        )
    if member.get("type") == "multi":
        raise InvalidRequest("A multi grader cannot be a member of a multi grader.", param=f"{path}.type", code="invalid_value")


def _generated_name(config: Json, key: str) -> str:
    """`grader-` and 12 characters, the same for the same configuration, so that every process and every resume agrees on it."""
    digest = hashlib.sha256(f"{key}:{json.dumps(config, sort_keys=True, default=str)}".encode()).hexdigest()
    return f"grader-{digest[:12]}"


def _as_invalid_request(error: ValidationError, param: str) -> InvalidRequest:
    """The first of pydantic's findings in OpenAI's words."""
    first = error.errors(include_url=False)[0]
    path = "".join([param, *(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"])])
    kind, value = first["type"], first["input"]
    if kind == "missing":
        return missing(path)
    if kind == "literal_error" and isinstance(value, str):
        return _wrong_choice(path, value, first["ctx"]["expected"])
    if kind == "finite_number":
        return InvalidRequest(f"Invalid '{path}': expected a finite number.", param=path, code="invalid_value")
    if not kind.endswith(("_type", "_parsing")) and kind != "literal_error":
        reason = first["msg"].replace("Input should", "it should")
        return InvalidRequest(f"Invalid '{path}': {reason}.", param=path, code="invalid_value")
    return invalid_type(path, type_phrase(kind), value)


def _wrong_choice(path: str, value: str, expected: str) -> InvalidRequest:
    if value == "cosine":
        return InvalidRequest(
            "Invalid value: 'cosine'. This metric exists for evals only, not for a reward.", param=path, code="invalid_value"
        )
    return one_of(path, value, expected)
