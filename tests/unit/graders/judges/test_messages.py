from __future__ import annotations

from typing import Any

import pytest

from core.errors import InvalidRequest
from graders.base import FailureKind, Sample
from graders.judges import messages
from graders.judges.messages import Messages, MessageTemplate, templates_of
from graders.template import RenderError

SAMPLE = Sample(item={"question": "why?", "picture": "data:image/png;base64,AAAA", "answer": 3}, output_text="because")


def rendered(*items: tuple[str, Any], sample: Sample = SAMPLE, allow_private: bool = False) -> Any:
    return Messages([MessageTemplate.parse(role, content) for role, content in items], allow_private=allow_private).render(sample)


def test_text_is_one_string() -> None:
    assert rendered(("user", "{{item.question}} {{ sample.output_text }}"))[0] == {"role": "user", "content": "why? because"}


def test_a_single_part_of_text_is_one_string_too() -> None:
    for kind in ("input_text", "output_text"):
        for content in ({"type": kind, "text": "{{item.answer}}"}, [{"type": kind, "text": "{{item.answer}}"}]):
            assert rendered(("user", content))[0]["content"] == "3"


def test_developer_goes_out_as_system() -> None:
    assert [message["role"] for message in rendered(("developer", "a"), ("system", "b"), ("assistant", "c"))] == [
        "system",
        "system",
        "assistant",
    ]


def test_images_and_sounds_are_passed_through() -> None:
    content = [
        "look",
        {"type": "input_image", "image_url": "{{item.picture}}", "detail": "low"},
        {"type": "input_audio", "input_audio": {"data": "UklG", "format": "wav"}},
    ]
    assert rendered(("user", content))[0]["content"] == [
        {"type": "text", "text": "look"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"}},
        {"type": "input_audio", "input_audio": {"data": "UklG", "format": "wav"}},
    ]


@pytest.mark.parametrize("url", ["https://images.example.com/a.png", "data:image/jpeg;base64,AA=="])
def test_images_may_lie_at_public_addresses_or_in_the_url(url: str) -> None:
    assert rendered(("user", [{"type": "input_image", "image_url": url}]))[0]["content"][0]["image_url"] == {"url": url}


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/meta",
        "https://10.0.0.1/a.png",
        "file:///etc/passwd",
        "https://localhost/a.png",
        "data:text/html,x",
    ],
)
def test_images_at_private_addresses_are_not_for_the_judge_to_fetch(url: str) -> None:
    sample = Sample(item={"picture": url}, output_text="")
    with pytest.raises(RenderError) as caught:
        rendered(("user", [{"type": "input_image", "image_url": "{{item.picture}}"}]), sample=sample)
    assert caught.value.kind is FailureKind.OTHER


def test_messages_are_bounded_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "MAX_MEDIA", 10)
    with pytest.raises(RenderError, match="longer than 10 characters"):
        rendered(("user", "123456"), ("user", "123456"))


def test_a_missing_variable_says_so() -> None:
    with pytest.raises(RenderError) as caught:
        rendered(("user", "{{item.nowhere}}"))
    assert caught.value.kind is FailureKind.INVALID_VARIABLE


@pytest.mark.parametrize(
    ("content", "path"),
    [
        (3, "c"),
        (None, "c"),
        ([], "c"),
        ([3], "c[0]"),
        ({"type": "video"}, "c"),
        (["a", {"type": "input_text"}], "c[1].text"),
        ({"type": "input_image", "image_url": {"url": "x"}}, "c.image_url"),
        ([{"type": "input_audio", "data": "x"}], "c[0].input_audio.data"),
    ],
)
def test_malformed_content_is_refused_with_its_path(content: Any, path: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        list(templates_of(content, "c"))
    assert caught.value.param == path
