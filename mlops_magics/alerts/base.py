"""What a sink of alerts can do: take a message where people see it."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from typing import ClassVar

from mlops_magics.errors import WrongUsage
from mlops_magics.evidence import secrets


@dataclass(frozen=True, kw_only=True)
class Message:
    """What people are told.

    Attributes
    ----------
    event : str
        ``breach``, ``still`` (a reminder) or ``recovered``.
    title : str
        One line.
    broken : tuple of str
        What was found wanting, a line each, with value and threshold.
    facts : mapping
        What else they need: model, deployment, since when, run, how to look.
    record : str
        The record's own JSON, with ``alert`` (event, title, text) in it.
    """

    event: str
    title: str
    broken: tuple[str, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    record: str = "{}"

    @property
    def text(self) -> str:
        """All of it but the record, in plain text."""
        lines = [self.title, "", *(f"- {line}" for line in self.broken)]
        lines += ["", *(f"{name}: {value}" for name, value in self.facts.items())]
        return "\n".join(lines) + "\n"

    @property
    def html(self) -> str:
        """The same as a small page."""
        broken = "".join(f"<li>{escape(line)}</li>" for line in self.broken)
        facts = "".join(
            f'<tr><td style="padding:2px 16px 2px 0;color:#666">{escape(name)}</td>'
            f"<td>{escape(value)}</td></tr>"
            for name, value in self.facts.items()
        )
        return (
            '<!doctype html><html lang="en"><body style="font-family:sans-serif">'
            f"<h2>{escape(self.title)}</h2>{f'<ul>{broken}</ul>' if broken else ''}"
            f"<table>{facts}</table></body></html>\n"
        )


class Sink(ABC):
    """A place for alerts; one class and one entry-point line, ``mlops_magics.alerts``.

    Parameters
    ----------
    text : str
        The whole of what was asked for, the name before its colon included.

    Attributes
    ----------
    name : str
        The entry point's name: what stands before the colon.

    Raises
    ------
    WrongUsage
        If it is no such place; in one sentence that repeats no secret.
    """

    name: ClassVar[str]

    def __init__(self, text: str) -> None:
        self.text = text
        self.place = text.partition(":")[2].strip()
        if not self.place:
            raise WrongUsage(f"{self.name}: says no place for an alert.", EXAMPLES)

    @property
    @abstractmethod
    def label(self) -> str:
        """How it is called in records: tells two places apart, and holds no secret."""

    @abstractmethod
    def send(self, message: Message) -> str:
        """Deliver; how it was taken, in a few words.

        Raises
        ------
        MlopsError
            If it was not taken; in one sentence that repeats no secret.
        """


EXAMPLES = (
    "For example command:./page-me.sh, https://example.org/hook, slack:https://hooks.slack.com/… "
    "or mailto:team@example.org; env:NAME reads one from a variable."
)


def hidden(secret: str) -> str:
    """A mark in the place of a secret; two secrets have two marks."""
    return f"{secrets.MASK}{hashlib.sha256(secret.encode()).hexdigest()[:4]}"
