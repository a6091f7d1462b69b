"""The messages for a judge: templates in OpenAI's `input` items, rendered for each sample into chat messages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from core.errors import InvalidRequest
from core.outbound import OutboundRefused, check_url
from graders.base import FailureKind, Sample
from graders.judges.base import Json
from graders.template import RenderError, Template

MAX_MEDIA = 16 << 20
"""Characters of one image or sound, and of all messages together."""
_ROLES = {"user": "user", "assistant": "assistant", "system": "system", "developer": "system"}
"""What each role is called on the way out: few servers other than OpenAI's know `developer`, and OpenAI's takes both."""


@dataclass(frozen=True)
class Part:
    """One piece of a message: its kind, and what is said, shown or played."""

    kind: str
    value: Template
    extra: str | None = None
    """An image's detail, a sound's format."""

    def render(self, sample: Sample, *, allow_private: bool) -> tuple[Json, int]:
        """The part in the shape of chat completions, and its length in characters. Raises `RenderError`."""
        if self.kind == "text":
            text = self.value.render(sample)
            return {"type": "text", "text": text}, len(text)
        media = self.value.render(sample, limit=MAX_MEDIA)
        if self.kind == "input_audio":
            return {"type": "input_audio", "input_audio": {"data": media, "format": self.extra}}, len(media)
        _check_image(media, allow_private=allow_private)
        image = {"url": media, **({"detail": self.extra} if self.extra else {})}
        return {"type": "image_url", "image_url": image}, len(media)


@dataclass(frozen=True)
class MessageTemplate:
    """One message: its role, and its parts in order."""

    role: str
    parts: tuple[Part, ...]

    @classmethod
    def parse(cls, role: str, content: Any) -> MessageTemplate:
        """Read an item of `input` that `check_content` has accepted."""
        items = content if isinstance(content, list) else [content]
        return cls(_ROLES[role], tuple(_part(item) for item in items))


class Messages:
    """A judge's whole conversation. `allow_private` lets images lie at private addresses."""

    def __init__(self, templates: Sequence[MessageTemplate], *, allow_private: bool) -> None:
        self._templates = tuple(templates)
        self._allow_private = allow_private

    def render(self, sample: Sample) -> tuple[Json, ...]:
        """Chat messages for one sample. Raises `RenderError`."""
        return tuple(self._rendered(sample))

    def _rendered(self, sample: Sample) -> Iterator[Json]:
        room = MAX_MEDIA
        for template in self._templates:
            parts = []
            for part in template.parts:
                rendered, length = part.render(sample, allow_private=self._allow_private)
                room -= length
                if room < 0:
                    raise RenderError(FailureKind.OTHER, f"the messages are longer than {MAX_MEDIA} characters")
                parts.append(rendered)
            plain = len(parts) == 1 and parts[0]["type"] == "text"
            yield {"role": template.role, "content": parts[0]["text"] if plain else parts}


def templates_of(content: Any, path: str) -> Iterator[tuple[str, str]]:
    """Every template of one message's content with its path. Raises `InvalidRequest` where the content is malformed."""
    if not isinstance(content, list):
        yield from _templates_of_part(content, path)
        return
    if not content:
        raise InvalidRequest(f"Invalid '{path}': expected at least one part.", param=path, code="invalid_value")
    for index, item in enumerate(content):
        yield from _templates_of_part(item, f"{path}[{index}]")


def _templates_of_part(item: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(item, str):
        yield item, path
        return
    kind = item.get("type") if isinstance(item, dict) else None
    if kind not in _FIELDS:
        listed = ", ".join(f"'{known}'" for known in _FIELDS)
        raise InvalidRequest(
            f"Invalid '{path}': expected a string or a part whose type is one of {listed}.", param=path, code="invalid_value"
        )
    value: Any = item
    for name in _FIELDS[kind]:
        path = f"{path}.{name}"
        value = value.get(name) if isinstance(value, dict) else None
    if not isinstance(value, str):
        raise InvalidRequest(f"Invalid '{path}': expected a string.", param=path, code="invalid_type")
    yield value, path


_FIELDS = {
    "input_text": ("text",),
    "output_text": ("text",),
    "input_image": ("image_url",),
    "input_audio": ("input_audio", "data"),
}
"""Where each kind of part has its template."""


def _part(item: Any) -> Part:
    if isinstance(item, str):
        return Part("text", Template.parse(item))
    if item["type"] == "input_image":
        return Part("input_image", Template.parse(item["image_url"]), item.get("detail"))
    if item["type"] == "input_audio":
        return Part("input_audio", Template.parse(item["input_audio"]["data"]), item["input_audio"].get("format", "wav"))
    return Part("text", Template.parse(item["text"]))


def _check_image(url: str, *, allow_private: bool) -> None:
    """The judge's server fetches what the URL names, from inside the operator's network."""
    if url.startswith("data:image/"):
        return
    try:
        check_url(url, allow_private=allow_private, param="image_url")
    except OutboundRefused as error:
        raise RenderError(FailureKind.OTHER, error.message) from None
