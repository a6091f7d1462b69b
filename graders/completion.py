"""From a completion to what graders see of it."""

from __future__ import annotations

from typing import Any

from core.reasoning import answer
from core.response_format import parsed_json
from core.tool_calls import split_calls
from graders.base import Sample

Json = dict[str, Any]


def sample_of(item: Json, completion: str, *, as_json: bool) -> Sample:
    """The sample of a completion of the row `item`: its answer without the reasoning before it.

    `output_json` is filled where the job asks for JSON (`as_json`), `output_tools` where the row has tools to call.
    """
    text, calls = split_calls(answer(completion)) if item.get("tools") else (answer(completion), [])
    return Sample(item, text, parsed_json(text) if as_json else None, calls)
