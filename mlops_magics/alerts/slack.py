"""Alerts in the form that Slack's incoming webhooks take, and those who follow it."""

from __future__ import annotations

import json
from typing import Any

from mlops_magics.alerts import posting
from mlops_magics.alerts.base import Message, Sink

#: Letters that a header and a section may have.
HEADER, SECTION = 150, 3000
SIGNS = {"breach": ":rotating_light:", "still": ":warning:", "recovered": ":white_check_mark:"}


class SlackSink(Sink):
    """``slack:https://hooks.slack.com/…``."""

    name = "slack"

    def __init__(self, text: str) -> None:
        super().__init__(text)
        posting.check(self.place)

    @property
    def label(self) -> str:
        """The host alone: the path of such an address is its key."""
        return f"slack:{posting.label(self.place)}"

    def send(self, message: Message) -> str:
        """Post it."""
        return posting.post(self.place, json.dumps(body(message)).encode(), {})


def body(message: Message) -> dict[str, Any]:
    """``text`` for notifications, ``blocks`` for the channel."""
    title = f"{SIGNS.get(message.event, '')} {_escaped(message.title)}".strip()
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": _cut(message.title, HEADER)}}
    ]
    if message.broken:
        lines = "\n".join(f"• {_escaped(line)}" for line in message.broken)
        section = {"type": "mrkdwn", "text": _cut(lines, SECTION)}
        blocks.append({"type": "section", "text": section})
    facts = "\n".join(f"*{_escaped(k)}*: {_escaped(v)}" for k, v in message.facts.items())
    context = {"type": "mrkdwn", "text": _cut(facts, SECTION)}
    blocks.append({"type": "context", "elements": [context]})
    return {"text": _cut(title, SECTION), "blocks": blocks}


def _escaped(text: str) -> str:
    """Slack's three characters, so that no name in the data becomes a link or a call to all."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _cut(text: str, letters: int) -> str:
    return text if len(text) <= letters else f"{text[: letters - 1]}…"
