from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graders.base import FailureKind, Sample
from graders.template import RenderError, Template, TemplateSyntaxError

SAMPLE = Sample(
    item={
        "answer": "é",
        "target": 77,
        "ratio": 0.5,
        "none": None,
        "yes": True,
        "no": False,
        "list": [1, {"a-b": "x"}],
        "dict": {"k": "ü"},
    },
    output_text='{"label": "cat", "tags": ["a"]}',
    output_json={"label": "cat", "tags": ["a"]},
    output_tools=[{"type": "function", "function": {"name": "find", "arguments": '{"q": 1}'}}],
)


@pytest.mark.parametrize(
    ("text", "rendered"),
    [
        ("", ""),
        ("no variable } {", "no variable } {"),
        ("{{item.answer}}", "é"),
        ("{{ item.answer }}", "é"),
        ("{{\nitem.answer\t}}", "é"),
        ("<{{item.answer}}|{{item.answer}}>", "<é|é>"),
        ("{{item.target}}", "77"),
        ("{{item.ratio}}", "0.5"),
        ("{{item.none}}", "null"),
        ("{{item.yes}}/{{item.no}}", "true/false"),
        ("{{item.dict}}", '{"k": "ü"}'),
        ("{{item.list}}", '[1, {"a-b": "x"}]'),
        ("{{item.list[1].a-b}}", "x"),
        ("{{item.list[0]}}", "1"),
        ('{"target": {{item.target}}}', '{"target": 77}'),
        ("{{sample.output_text}}", '{"label": "cat", "tags": ["a"]}'),
        ("{{sample.output_json.label}}", "cat"),
        ("{{sample.output_json.tags[0]}}", "a"),
        ("{{sample.output_json}}", '{"label": "cat", "tags": ["a"]}'),
        ("{{sample.output_tools[0].function.name}}", "find"),
        ("{{sample.output_tools[0].function.arguments}}", '{"q": 1}'),
        ("{{sample.choices[0].message.content}}", '{"label": "cat", "tags": ["a"]}'),
    ],
)
def test_renders(text: str, rendered: str) -> None:
    assert Template.parse(text).render(SAMPLE) == rendered


def test_values_are_not_templates_themselves() -> None:
    sample = Sample(item={"a": "{{item.b}}", "b": "secret"}, output_text="{{item.b}}")
    assert Template.parse("{{item.a}} {{sample.output_text}}").render(sample) == "{{item.b}} {{item.b}}"


@pytest.mark.parametrize(
    "text",
    [
        "{{item.a",
        "{{}}",
        "{{ }}",
        "{{env.HOME}}",
        "{{items.a}}",
        "{{Item.a}}",
        "{{item..a}}",
        "{{item.a[}}",
        "{{item.a[-1]}}",
        "{{item.a[x]}}",
        "{{item['a']}}",
        "{{item.a | upper}}",
        "{{item.a()}}",
        "{{item.a + 1}}",
        "{{#if item.a}}",
        "{{{item.a}}}",
    ],
)
def test_refuses_what_is_no_template(text: str) -> None:
    with pytest.raises(TemplateSyntaxError):
        Template.parse(text)


def test_names_the_unknown_namespace() -> None:
    with pytest.raises(TemplateSyntaxError, match="'reference'; only item and sample exist"):
        Template.parse("{{ reference.answer }}")


@pytest.mark.parametrize(
    "path",
    [
        "item.absent",
        "item.answer.deeper",
        "item.list[2]",
        "item.list.0",
        "item.dict[0]",
        "item.target[0]",
        "item.none.x",
        "item.__class__",
        "item.answer.__len__",
        "sample.item",
        "sample.output_json.absent",
        "sample.output_tools[1].function.name",
    ],
)
def test_a_missing_value_is_an_invalid_variable(path: str) -> None:
    with pytest.raises(RenderError, match="has no value") as caught:
        Template.parse("{{" + path + "}}").render(SAMPLE)
    assert caught.value.kind is FailureKind.INVALID_VARIABLE


@pytest.mark.parametrize("path", ["sample.output_json", "sample.output_json.label"])
def test_a_completion_that_is_not_json_is_a_sample_parse_failure(path: str) -> None:
    with pytest.raises(RenderError) as caught:
        Template.parse("{{" + path + "}}").render(Sample(item={}, output_text="the label is cat"))
    assert caught.value.kind is FailureKind.SAMPLE_PARSE


def test_a_completion_nested_beyond_reason_is_a_sample_parse_failure() -> None:
    with pytest.raises(RenderError) as caught:
        Template.parse("{{sample.output_json}}").render(Sample(item={}, output_text="[" * 100_000))
    assert caught.value.kind is FailureKind.SAMPLE_PARSE


def test_the_json_null_is_a_value() -> None:
    assert Template.parse("{{sample.output_json}}").render(Sample(item={}, output_text=" null ")) == "null"


def test_json_that_the_job_did_not_ask_for_is_an_invalid_variable() -> None:
    with pytest.raises(RenderError, match="response_format") as caught:
        Template.parse("{{sample.output_json.a}}").render(Sample(item={}, output_text='{"a": 1}'))
    assert caught.value.kind is FailureKind.INVALID_VARIABLE


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_what_is_not_a_string_renders_as_json(value: object) -> None:
    rendered = Template.parse("{{item.value}}").render(Sample(item={"value": value}, output_text=""))
    assert (rendered if isinstance(value, str) else json.loads(rendered)) == value


def test_what_is_rendered_is_bounded() -> None:
    template = Template.parse("{{item.a}}" * 10)
    sample = Sample(item={"a": "x" * 100}, output_text="")
    assert len(template.render(sample, limit=1000)) == 1000
    with pytest.raises(RenderError) as caught:
        template.render(sample, limit=999)
    assert caught.value.kind is FailureKind.OTHER


def test_a_value_that_cannot_be_written_is_a_failure_and_no_crash() -> None:
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(RenderError) as caught:
        Template.parse("{{item.a}}").render(Sample(item={"a": deep}, output_text=""))
    assert caught.value.kind is FailureKind.OTHER


def test_what_a_variable_holds_is_not_read_as_a_template() -> None:
    sample = Sample(item={"a": "{{sample.output_text}}"}, output_text="{{item.a}}")
    assert Template.parse("{{item.a}} {{sample.output_text}}").render(sample) == "{{sample.output_text}} {{item.a}}"
