"""Write log lines with the request's id, as text or as JSON.

- The module knows neither requests nor messages.
- No caller logs texts, recordings or keys.
"""

import json
import logging
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Literal

REQUEST_ID: ContextVar[str] = ContextVar("REQUEST_ID", default="")  # of this task's request


def set_up(level: str, log_format: Literal["text", "json"]) -> None:
    """Send all messages of at least `level` to stderr, in `log_format`."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if log_format == "json" else TextLines())
    logging.basicConfig(level=level.upper(), handlers=[handler])


def log_fields(**known: object) -> Mapping[str, object]:
    """Return the `extra` of a message: its values by name, for programs."""
    return {"facts": known}


class TextLines(logging.Formatter):
    """Log lines for people, with the request's id at the end."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:
        line, request_id = super().formatMessage(record), REQUEST_ID.get()
        return f"{line} [{request_id}]" if request_id else line


class JsonLines(logging.Formatter):
    """Log lines as JSON: time, level, logger, message, request_id, and those of `log_fields`."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if request_id := REQUEST_ID.get():
            line["request_id"] = request_id
        line |= getattr(record, "facts", {})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)
