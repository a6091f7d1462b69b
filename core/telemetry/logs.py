"""Logs to standard error: one line a message, as text or as JSON (`RFT_LOG_FORMAT=json`), set up here for every process.

Messages never hold prompts, completions, grades' details or keys. As a second guard, what looks like a secret is blotted out of
the finished line: keys, bearer headers, passwords in URLs.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from datetime import UTC, datetime

from core.settings import Settings
from core.telemetry import context

OURS = ("api", "cli", "core", "graders", "worker")

_SECRETS = re.compile(
    r"""(?P<before>\b(?:rft_sk_|rft_admin_|sk-|whsec_|[Bb]earer\s+)|://[^\s:/@'"]*:)(?P<secret>[^\s'"@,;)\\]{4,})"""
)
_BLOT = r"\g<before>**********"


class PlainFormatter(logging.Formatter):
    """`time level logger message [name=value ...]`, a traceback on the lines below."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s%(fields)s")

    def format(self, record: logging.LogRecord) -> str:
        """The text of a record."""
        fields = " ".join(f"{name}={value}" for name, value in context.current().items())
        record.fields = f" [{fields}]" if fields else ""
        return blotted(super().format(record))


class JsonFormatter(logging.Formatter):
    """One JSON object a line: `time` (UTC, ISO 8601), `level`, `logger`, `message`, the fields of the context, `exception`."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **context.current(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps({name: blotted(value) if isinstance(value, str) else value for name, value in line.items()})


def configure(settings: Settings) -> None:
    """Set up this process's log, in place of whatever was set up before."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if settings.log_format == "json" else PlainFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    # Libraries tell of every request and every migration that went well.
    root.setLevel(max(logging.WARNING, logging.getLevelNamesMapping()[settings.log_level.upper()]))
    for name in OURS:
        logging.getLogger(name).setLevel(settings.log_level.upper())


def blotted(text: str) -> str:
    """The text without what looks like a secret."""
    return _SECRETS.sub(_BLOT, text)
