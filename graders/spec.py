"""Grader configurations with OpenAI's fields: a union on `type`. `parse` is the only way in.

Unknown extra fields are kept and echoed, because official clients send fields that OpenAI's own types do not know.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from core.errors import InvalidRequest
from graders.formula import Formula, FormulaSyntaxError, is_variable_name
from graders.source import SourceError, check_source
from graders.template import Template, TemplateSyntaxError
from graders.wording import invalid_type, invalid_value, missing, one_of, type_phrase

Json = dict[str, Any]


class _Base(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True, frozen=True, allow_inf_nan=False)

    name: str
    pass_threshold: float | None = None
    """Marks passes in reports; the reward is always the raw score."""


class StringCheck(_Base):
    """Compares two rendered strings; 1.0 or 0.0."""

    type: Literal["string_check"]
    input: str
    reference: str
    operation: Literal["eq", "ne", "like", "ilike"]


class TextSimilarity(_Base):
    """How alike two rendered strings are, from 0.0 to 1.0."""

    type: Literal["text_similarity"]
    input: str
    reference: str
    evaluation_metric: Literal[
        "fuzzy_match", "bleu", "gleu", "rouge_1", "rouge_2", "rouge_3", "rouge_4", "rouge_5", "rouge_l"
    ]  # fmt: skip


class PythonSource(_Base):
    """A user's `grade(sample, item)`."""

    type: Literal["python"]
    source: str
    image_tag: str | None = None


Member = StringCheck | TextSimilarity | PythonSource


class Multi(_Base):
    """Several graders and the formula that joins their scores; the keys of `graders` are the formula's variables."""

    type: Literal["multi"]
    graders: dict[str, Member]
    calculate_output: str


Spec = Member | Multi

_MODELS: dict[str, type[StringCheck | TextSimilarity | PythonSource | Multi]] = {
    "string_check": StringCheck,
    "text_similarity": TextSimilarity,
    "python": PythonSource,
    "multi": Multi,
}
_NOT_YET = ("score_model", "label_model", "endpoint")


def parse(config: object, param: str = "grader") -> Spec:
    """The checked configuration, names filled in. Raises `InvalidRequest` whose `param` is the path of the field at fault."""
    return _parse(config, param, "")


def normalised(spec: Spec) -> Json:
    """The configuration as `graders/validate` returns it: what was sent, with every name filled in."""
    return spec.model_dump(mode="json", exclude_unset=True)


def _parse(config: object, param: str, key: str) -> Spec:
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
    _check(spec, param)
    return spec


def _model(config: Json, param: str) -> type[Spec]:
    kind = config.get("type")
    if "type" not in config:
        raise missing(f"{param}.type")
    if not isinstance(kind, str):
        raise invalid_type(f"{param}.type", "a string", kind)
    if kind in _NOT_YET:
        raise InvalidRequest(f"Graders of type '{kind}' are not supported yet.", param=f"{param}.type", code="invalid_value")
    if kind not in _MODELS:
        raise invalid_value(f"{param}.type", kind, list(_MODELS))
    return _MODELS[kind]


def _members(config: Json, param: str) -> dict[str, Spec]:
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
    path = ".".join([param, *(str(part) for part in first["loc"])])
    kind, value = first["type"], first["input"]
    if kind == "missing":
        return missing(path)
    if kind == "literal_error" and isinstance(value, str):
        return _wrong_choice(path, value, first["ctx"]["expected"])
    if kind == "finite_number":
        return InvalidRequest(f"Invalid '{path}': expected a finite number.", param=path, code="invalid_value")
    return invalid_type(path, type_phrase(kind), value)


def _wrong_choice(path: str, value: str, expected: str) -> InvalidRequest:
    if value == "cosine":
        return InvalidRequest(
            "Invalid value: 'cosine'. This metric exists for evals only, not for a reward.", param=path, code="invalid_value"
        )
    if value == "meteor":
        return InvalidRequest("The metric 'meteor' is not supported yet.", param=path, code="invalid_value")
    return one_of(path, value, expected)


def _check(spec: Spec, param: str) -> None:
    """What the types cannot say: templates, source and formula must parse."""
    if isinstance(spec, StringCheck | TextSimilarity):
        _check_template(spec.input, f"{param}.input")
        _check_template(spec.reference, f"{param}.reference")
    elif isinstance(spec, PythonSource):
        _check_source(spec.source, f"{param}.source")
    else:
        _check_formula(spec, f"{param}.calculate_output")


def _check_template(text: str, param: str) -> None:
    try:
        Template.parse(text)
    except TemplateSyntaxError as error:
        raise InvalidRequest(f"Invalid template in '{param}': {error}.", param=param, code="invalid_value") from None


def _check_source(source: str, param: str) -> None:
    try:
        check_source(source)
    except SourceError as error:
        raise InvalidRequest(f"Invalid '{param}': {error}.", param=param, code="invalid_value") from None


def _check_formula(spec: Multi, param: str) -> None:
    try:
        unknown = sorted(Formula.parse(spec.calculate_output).variables - spec.graders.keys())
    except FormulaSyntaxError as error:
        raise InvalidRequest(f"Invalid formula in '{param}': {error}.", param=param, code="invalid_value") from None
    if unknown:
        raise InvalidRequest(
            f"Invalid formula in '{param}': '{unknown[0]}' is not a key of 'graders' ({', '.join(spec.graders)}).",
            param=param,
            code="invalid_value",
        )
