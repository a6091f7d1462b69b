"""Configurations that OpenAI has published, field by field as its guides, specification, cookbook and build hours have them.

Texts of prompts and rows are our own, and short; models, types, options and the form of the call are theirs.
"""

from __future__ import annotations

import inspect
from typing import Any

from openai.types.fine_tuning import ReinforcementHyperparameters, ReinforcementMethod
from openai.types.graders import ScoreModelGrader, StringCheckGrader

from tests.compat.world import MODEL

Json = dict[str, Any]


def user(text: str) -> list[Json]:
    return [{"role": "user", "content": text}]


def check(name: str, value: str, reference: str, **fields: Any) -> Json:
    return {"name": name, "type": "string_check", "operation": "eq", "input": value, "reference": reference, **fields}


def multi(formula: str, **graders: Json) -> Json:
    return {"type": "multi", "graders": graders, "calculate_output": formula}


# Guide: the security assistant.

SECURITY_FORMAT: Json = {
    "type": "json_schema",
    "json_schema": {
        "name": "security_assistant",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {"compliant": {"type": "string"}, "explanation": {"type": "string"}},
            "required": ["compliant", "explanation"],
            "additionalProperties": False,
        },
    },
}
SECURITY: Json = {
    "type": "reinforcement",
    "reinforcement": {
        "grader": multi(
            "0.5 * compliant + 0.5 * explanation",
            explanation={
                "name": "Explanation text grader",
                "type": "score_model",
                "model": "gpt-4o-2024-08-06",
                "input": [
                    {
                        "role": "user",
                        "type": "message",
                        "content": "Near {{ item.explanation }}? {{ sample.output_json.explanation }} Return only a number.",
                    }
                ],
            },
            compliant=check("compliant", "{{item.compliant}}", "{{sample.output_json.compliant}}"),
        ),
        "response_format": SECURITY_FORMAT,
        "hyperparameters": {"reasoning_effort": "medium"},
    },
}
SECURITY_ROWS = [
    {"messages": user(question), "compliant": answer, "explanation": "The rule says so."}
    for question, answer in (("May I share keys?", "no"), ("Is data sealed?", "yes"), ("Who may enter?", "needs review"))
]

# Specification: a job with a string check, made of the client's own objects (input and reference as its Python snippet has them).

STRING_CHECK = StringCheckGrader(
    name="Example string check grader",
    type="string_check",
    input="{{item.label}}",
    operation="eq",
    reference="{{sample.output_text}}",
)
STRING_CHECK_METHOD = ReinforcementMethod(
    grader=STRING_CHECK, hyperparameters=ReinforcementHyperparameters(reasoning_effort="medium")
)
LABELLED_ROWS = [{"messages": user(f"say {i}"), "label": str(i)} for i in range(4)]

# Specification: grader runs.

EXACT_TEXT: Json = {
    "type": "score_model",
    "name": "Example score model grader",
    "input": [
        {
            "role": "user",
            "content": "Score 1 if both are the same, 0 if not. Reference: {{item.reference_answer}} "
            "Answer: {{sample.output_text}}",
        }
    ],
    "model": "gpt-4o-mini-2024-07-18",
    "sampling_params": {"temperature": 1, "top_p": 1, "seed": 42},
}
IMAGE_CAPTION: Json = {
    "type": "score_model",
    "name": "Image caption grader",
    "input": [
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "How well does this caption fit? {{sample.output_text}}"},
                {"type": "input_image", "image_url": "{{item.image}}", "detail": "high"},
            ],
        }
    ],
    "model": "gpt-4o-mini-2024-07-18",
    "range": [0, 1],
}
AUDIO: Json = {
    "type": "score_model",
    "name": "Audio grader",
    "input": [
        {"role": "user", "content": {"type": "input_text", "text": "Is this what is said? {{sample.output_text}}"}},
        {"role": "user", "content": {"type": "input_audio", "input_audio": {"data": "{{item.audio}}", "format": "mp3"}}},
    ],
    "model": "gpt-audio",
}
ECHO: Json = check("Example string check grader", "{{sample.output_text}}", "{{item.label}}")

# Guide on graders.

NAME_AND_EMAIL = multi(
    "(name + email) / 2",
    name={
        "name": "sample_name_text_similarity",
        "type": "text_similarity",
        "input": "{{item.name}}",
        "reference": "{{sample.output_json.name}}",
        "evaluation_metric": "fuzzy_match",
        "pass_threshold": 0.9,
    },
    email=check("sample_email_string_check", "{{item.email}}", "{{sample.output_json.email}}"),
)
TOOL_CALL = multi(
    "0.5 * function_name + 0.5 * arguments",
    function_name=check("function_name", "get_acceptors", "{{sample.output_tools[0].function.name}}"),
    arguments=check("arguments", '{"smiles": "{{item.smiles}}"}', "{{sample.output_tools[0].function.arguments}}"),
)
ACCEPTORS: Json = {
    "type": "function",
    "function": {
        "name": "get_acceptors",
        "parameters": {
            "type": "object",
            "properties": {"smiles": {"type": "string"}},
            "required": ["smiles"],
            "additionalProperties": False,
        },
        "strict": True,
    },
}
TOOL_ROWS = [{"messages": user(f"acceptors of {s}?"), "smiles": s, "tools": [ACCEPTORS]} for s in ("CO", "CC", "C#N", "O=C")]
FUZZY_WUZZY: Json = {
    "type": "python",
    "source": "from rapidfuzz import fuzz, utils\n\n"
    "def grade(sample, item) -> float:\n"
    '    output, reference = sample["output_text"], item["reference_answer"]\n'
    "    return fuzz.WRatio(output, reference, processor=utils.default_process) / 100.0\n",
}
NUMBER: Json = {
    "type": "score_model",
    "name": "my_score_model",
    "input": [{"role": "system", "content": "The reference is {{item.reference_answer}}, the answer {{sample.output_text}}."}],
    "pass_threshold": 0.5,
    "model": "o3-mini-2025-01-31",
    "range": [0, 1],
    "sampling_params": {"max_completions_tokens": 32768, "top_p": 1, "reasoning_effort": "medium"},
}

# Cookbook: clinical phrases, sent with `requests`.


def clinical_phrase_grader(sample: Json, item: Json) -> float:
    from rapidfuzz import fuzz, utils

    return fuzz.token_set_ratio(sample["output_text"], item["reference_answer"], processor=utils.default_process) / 100.0


def clinical_phrase_binary_grader(sample: Json, item: Json) -> float:
    from rapidfuzz import fuzz

    def near(a: str, b: str) -> bool:
        return fuzz.token_set_ratio(a, b) >= 75

    return 1.0 if near(sample["output_text"], item["reference_answer"]) else 0.0


def source_of(grade: Any) -> str:
    """The function as the cookbook sends it: its own text under the name `grade`."""
    return inspect.getsource(grade).replace(grade.__name__, "grade", 1)


def clinical(function: Any) -> Json:
    return {"type": "python", "name": function.__name__, "image_tag": "2025-05-08", "source": source_of(function)}


CLINICAL = multi(
    "0.85 * clinical_phrase + 0.15 * clinical_phrase_binary",
    clinical_phrase=clinical(clinical_phrase_grader),
    clinical_phrase_binary=clinical(clinical_phrase_binary_grader),
)
CLINICAL_HYPERPARAMETERS: Json = {
    "compute_multiplier": 1.0,
    "eval_samples": 3,
    "eval_interval": 5,
    "n_epochs": 5,
    "reasoning_effort": "medium",
}
CLINICAL_ROWS = [{"messages": user(f"Give code {i}"), "reference_answer": f"phrase number {i}"} for i in range(6)]
CLINICAL_JUDGE: Json = {
    "type": "score_model",
    "name": "clinical_phrase_judge",
    "model": "gpt-4.1-2025-04-14",
    "input": [{"role": "user", "content": "Expected: {{ item.reference_answer }}. Got: {{ sample.output_text }}. Score: x"}],
    "range": [0, 1],
    "pass_threshold": 0.75,
    "sampling_params": {"temperature": 0, "seed": 42},
}


def clinical_body(training_file: str, validation_file: str, grader: Json, suffix: str) -> Json:
    return {
        "training_file": training_file,
        "validation_file": validation_file,
        "model": MODEL,
        "suffix": suffix,
        "method": {
            "type": "reinforcement",
            "reinforcement": {"grader": grader, "response_format": None, "hyperparameters": CLINICAL_HYPERPARAMETERS},
        },
        "seed": 42,
    }


# Cookbook: HealthBench, rows of messages alone.

HEALTH_GRADER = ScoreModelGrader(
    name="health_judge",
    type="score_model",
    input=[{"role": "user", "type": "message", "content": "Chat: {{item.messages}} Answer: {{sample.output_text}} Score it."}],
    model="o4-mini-2025-04-16",
    sampling_params={"reasoning_effort": "low"},
)
HEALTH_METHOD = ReinforcementMethod(
    grader=HEALTH_GRADER, hyperparameters=ReinforcementHyperparameters(batch_size=4, n_epochs=5, reasoning_effort="low")
)
HEALTH_ROWS = [{"messages": user(f"My knee hurts {i}")} for i in range(12)]
"""As training file; the last four as validation file."""

# Build hours 15: precision and recall of a list.

_F1_PARTS = (
    "def grade(sample, item):\n"
    "    found = set((sample.get('output_json') or {}).get('labels', []))\n"
    "    wanted = set(item['reference_answer'])\n"
    "    return len(found & wanted) / max(len({side}), 1)\n"
)
PRECISION_AND_RECALL = multi(
    "2 * precision * recall / max(precision + recall, 1e-9)",
    precision={"type": "python", "name": "precision", "source": _F1_PARTS.replace("{side}", "found")},
    recall={"type": "python", "name": "recall", "source": _F1_PARTS.replace("{side}", "wanted")},
)
LABELS_FORMAT: Json = {
    "type": "json_schema",
    "json_schema": {
        "name": "labels",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {"labels": {"type": "array", "items": {"type": "string", "enum": ["arm", "leg"]}}},
            "required": ["labels"],
            "additionalProperties": False,
        },
    },
}
SENTIMENT: Json = {
    "type": "text_similarity",
    "name": "sentiment",
    "input": "{{ sample.output_json.sentiment }}",
    "reference": "{{ item.reference_answer }}",
    "evaluation_metric": "fuzzy_match",
}
LABEL_HYPERPARAMETERS: Json = {"n_epochs": 15, "batch_size": 16, "reasoning_effort": "low", "eval_samples": 3}
LABEL_ROWS = [
    {
        "id": i,
        "messages": [{"role": "developer", "content": "List the limbs."}, *user(f"case {i}")],
        "reference_answer": ["arm"] if i % 2 else ["leg", "arm"],
    }
    for i in range(4)
]

# Build hours 20: agents that call tools of a server while they answer.

AGENT: Json = {
    "grader": {
        "type": "score_model",
        "name": "agent_judge",
        "model": "gpt-4.1-2025-04-14",
        "input": [{"role": "user", "content": "Expected {{item.answer}}, got {{sample.output_text}}"}],
    },
    "tools": [
        {"name": name, "server_url": "https://tools.example.com/" + name, "headers": {"Authorization": "Bearer secret"}}
        for name in ("search", "list", "cat")
    ],
    "max_episode_steps": 50,
    "hyperparameters": {"batch_size": 16, "eval_interval": 5, "eval_samples": 2},
}
AGENT_ENDPOINT: Json = {
    "type": "endpoint",
    "name": "agent_endpoint",
    "headers": {"Authorization": "Bearer secret"},
    "rate_limit": 50,
}
