"""From what was asked for to sinks, and what became of each."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from mlops_magics import plugins, settings
from mlops_magics.alerts import occasions
from mlops_magics.alerts.base import EXAMPLES, Message, Sink
from mlops_magics.errors import MlopsError, WrongUsage
from mlops_magics.evidence import secrets
from mlops_magics.records import now

REFERENCE = "env:"


def sink(text: str) -> Sink:
    """The sink that a text names.

    Raises
    ------
    WrongUsage
        If it names none.
    """
    text = text.strip()
    if text.startswith(REFERENCE):
        variable = text.removeprefix(REFERENCE)
        text = os.environ.get(variable, "").strip()
        if not text:
            raise WrongUsage(
                f"Alerts are to go to env:{variable}, and there is no variable {variable}.",
                "Set it to an address, or name another.",
            )
    name, colon, _ = text.partition(":")
    if not colon:
        raise WrongUsage(f"{name[:40]!r} is no place for an alert.", EXAMPLES)
    found: Sink = plugins.load("alert", name)(text)
    return found


@dataclass(frozen=True)
class Sinks:
    """Where alerts go.

    Attributes
    ----------
    problems : mapping
        Of what the settings name and can't be used: what it is called, and why.
    """

    sinks: tuple[Sink, ...] = ()
    problems: Mapping[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.sinks or self.problems)

    @property
    def labels(self) -> list[str]:
        """What they are called in records."""
        return [sink.label for sink in self.sinks]

    def tell(
        self,
        write: Callable[[str], Message],
        known: Mapping[str, Any],
        broken: Iterable[str],
        remind: timedelta | None,
    ) -> Told:
        """Tell each what is news to it; nothing that happens here is raised."""
        things, at = tuple(broken), now()
        found, knowledge, notes = [], {}, []
        for label, why in self.problems.items():
            notes.append(f"No alert can go to {label}: {why}")
        for each in self.sinks:
            before = known.get(each.label)
            event = occasions.due(before, things, at, remind)
            taken = False
            if event:
                status, detail = _sent(each, write(event))
                taken = status == "sent"
                entry = {"sink": each.label, "event": event, "status": status, "detail": detail}
                found.append({**entry, "at": now()})
                if not taken:
                    notes.append(f"The alert to {each.label} failed: {detail}")
            after = occasions.after(before, things, at, event if taken else "")
            if after is not None:
                knowledge[each.label] = after
        return Told(tuple(found), knowledge, tuple(notes))


@dataclass(frozen=True)
class Told:
    """What was sent where, what each knows from now on, and what failed."""

    alerts: tuple[Mapping[str, str], ...]
    known: Mapping[str, Any]
    notes: tuple[str, ...]


def read(asked: Sequence[str]) -> Sinks:
    """Those asked for, and those of the settings, each once.

    Raises
    ------
    WrongUsage
        If one that is asked for is none; of the settings it is a problem, which loses no look.
    """
    found: dict[str, Sink] = {}
    for text in asked:
        made = sink(text)
        found.setdefault(made.label, made)
    problems = {}
    for text in settings.load().alerts:
        try:
            made = sink(text)
            found.setdefault(made.label, made)
        except MlopsError as error:
            known = text if text.startswith(REFERENCE) else f"{text.partition(':')[0][:20]}:"
            problems[f"{known} of the setting alerts"] = str(error)
    return Sinks(tuple(found.values()), problems)


def _sent(sink: Sink, message: Message) -> tuple[str, str]:
    try:
        return "sent", sink.send(message)
    except MlopsError as error:
        return "failed", str(error)
    except Exception as error:  # a plugin's own
        words = f"{type(error).__name__}: {error}".replace(sink.text, secrets.MASK)
        return "failed", words.replace(sink.place, secrets.MASK)[:200]
