"""What every grader's configuration has, and the checks that several types share."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import BaseModel, ConfigDict

from core.errors import InvalidRequest
from graders.template import Template, TemplateSyntaxError


class GraderSpec(BaseModel):
    """One grader's configuration. A type of grader is a subclass with a `type` and, where types alone cannot say it, a `check`.

    Unknown extra fields are kept and echoed, because official clients send fields that OpenAI's own types do not know.
    """

    model_config = ConfigDict(extra="allow", strict=True, frozen=True, allow_inf_nan=False)

    type: str
    name: str
    pass_threshold: float | None = None
    """Marks passes in reports; the reward is always the raw score."""

    def check(self, param: str) -> None:
        """What the types cannot say, such as that templates parse. Raises `InvalidRequest` naming the path below `param`."""

    def judges(self, param: str) -> Iterator[tuple[str, str]]:  # noqa: ARG002
        """The judges it asks, each with the path of its name."""
        return iter(())

    def urls(self, param: str) -> Iterator[tuple[str, str]]:  # noqa: ARG002
        """The URLs it calls, each with its path."""
        return iter(())

    def sandboxed(self, param: str) -> Iterator[str]:  # noqa: ARG002
        """The paths of what must run in a sandbox."""
        return iter(())


def check_template(text: str, param: str) -> None:
    """Raises `InvalidRequest` unless `text` is a template."""
    try:
        Template.parse(text)
    except TemplateSyntaxError as error:
        raise InvalidRequest(f"Invalid template in '{param}': {error}.", param=param, code="invalid_value") from None
