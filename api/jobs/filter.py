"""The filter of the list of jobs, as OpenAI's query strings spell it."""

from __future__ import annotations

import re
from collections.abc import Iterable

from api.jobs.schemas import MAX_METADATA
from core.errors import InvalidRequest

_PAIR = re.compile(r"metadata\[(.*)\]", re.DOTALL)


def metadata_filter(query: Iterable[tuple[str, str]]) -> dict[str, str] | None:
    """The pairs of a query such as `metadata[owner]=me&metadata[run]=`; None for `metadata=null`, which stands alone.

    Raises `InvalidRequest` for any other value of `metadata`, and for more pairs than a job can have.
    """
    parameters = list(query)
    pairs = {match[1]: value for name, value in parameters if (match := _PAIR.fullmatch(name))}
    whole = [value for name, value in parameters if name == "metadata"]
    if whole and (set(whole) != {"null"} or pairs):
        message = "Filter by pairs, metadata[key]=value, or by metadata=null alone."
        raise InvalidRequest(message, param="metadata", code="invalid_value")
    if len(pairs) > MAX_METADATA:
        message = f"Invalid value for 'metadata': a job has at most {MAX_METADATA} pairs."
        raise InvalidRequest(message, param="metadata", code="invalid_value")
    return None if whole else pairs
