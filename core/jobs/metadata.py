"""Jobs by their metadata: a row for each pair, so that the list's filter reads an index and never the jobs' requests.

A pair is kept as a digest: JSON of hostile origin holds keys and values that one database or the other cannot index.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

NO_METADATA = hashlib.sha256(b"null").hexdigest()
"""Stands in the place of a pair for jobs whose metadata is null."""


def digests(metadata: Mapping[str, str] | None) -> list[str]:
    """The digest of each pair; `NO_METADATA` alone for null, nothing for an empty object."""
    if metadata is None:
        return [NO_METADATA]
    return [hashlib.sha256(json.dumps([key, value]).encode()).hexdigest() for key, value in metadata.items()]
