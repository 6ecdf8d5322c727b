"""What the server writes to standard error: lines for people, or one JSON object a line."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

FORMATS = ("text", "json")

log = logging.getLogger("mlops_magics.serving.requests")


def set_up(form: str) -> None:
    """Write all logs in one of `FORMATS`; only as JSON each request has a line of its own."""
    handler = logging.StreamHandler(sys.stderr)
    as_text = logging.Formatter("%(asctime)s %(levelname)s %(message)s")
    handler.setFormatter(Lines() if form == "json" else as_text)
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    log.setLevel(logging.INFO if form == "json" else logging.WARNING)


def request(facts: Mapping[str, Any]) -> None:
    """One request that was answered."""
    log.info("request", extra={"facts": facts})


class Lines(logging.Formatter):
    """A record → one line of JSON: ``time``, ``level``, ``message``, and a request's facts."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        content: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "message": record.getMessage(),
            **getattr(record, "facts", {}),
        }
        if record.exc_info:
            content["exception"] = self.formatException(record.exc_info)
        return json.dumps(content, default=str)
