"""What was found, in sentences with figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mlops_magics.explanations import figures
from mlops_magics.explanations.dependence import Dependence
from mlops_magics.explanations.directions import LOWERS, MIXED, NONE, RAISES, of_dependence
from mlops_magics.explanations.questions import Question

#: Columns that a sentence names.
_NAMED = 4

CAUTION = (
    "This is how the model answers, not what causes what; columns that go together share their "
    "importance."
)


def importance(found: Sequence[Mapping[str, Any]], metric: str, question: Question) -> list[str]:
    """Which columns matter, the most important first; without a metric, by how much they move."""
    moving = [f for f in found if _matters(f)]
    if not moving:
        return ["No column matters by itself: shuffling any of them changes nothing measurable."]
    first, *others = moving
    told = f"Shuffling {first['feature']} " + (
        f"costs {figures.small(first['permutation'])} of {metric}"
        if metric
        else f"changes {question.about} by {figures.small(first['permutation'])} on average"
    )
    if first["interval"]:
        low, high = map(figures.small, first["interval"])
        told += f" (95 %: {low} to {high})"
    told += ", more than any other." if len(found) > 1 else "."
    sentences = [told]
    if others:
        named = [f"{f['feature']} ({figures.small(f['permutation'])})" for f in others[:_NAMED]]
        sentences.append(f"Next {'come' if len(named) > 1 else 'comes'} {together(named)}.")
    idle = [str(f["feature"]) for f in found if not _matters(f)]
    if idle:
        shown = [*idle[:_NAMED], *([f"{len(idle) - _NAMED} more"] if idle[_NAMED:] else [])]
        sentences.append(f"Shuffling changes nothing measurable in {together(shown)}.")
    return sentences


def _matters(found: Mapping[str, Any]) -> bool:
    low = found["interval"][0] if found["interval"] else found["permutation"]
    return bool(low > 0)


def dependence(feature: str, found: Dependence, question: Question) -> str:
    """How the answer goes with one column, between its 10th and its 90th percentile."""
    places = found.places
    present = [i for i, value in enumerate(places.values) if value is not None]
    gap = ""
    if len(present) < len(places.values):
        gap = f" Where it is missing, it is {_answer(found, -1, question)}."
    if not present:
        return f"{feature} has no value in any row."
    direction = of_dependence(found)
    if len(present) == 1:
        return f"{feature} is {figures.value(places.values[present[0]])} in all rows.{gap}"
    if places.ordered and direction in (RAISES, LOWERS):
        return (
            f"{feature} {direction} {question.about}: from {_at(found, places.low, question)} to "
            f"{_at(found, places.high, question)} (10th and 90th percentile).{gap}"
        )
    if direction == NONE:
        return (
            f"{feature} by itself does not move {question.about}: it stays at "
            f"{_answer(found, places.low, question)}.{gap}"
        )
    within = range(places.low, places.high + 1) if places.ordered else present
    lowest = min(within, key=lambda i: found.average[i])
    highest = max(within, key=lambda i: found.average[i])
    if direction == MIXED:
        return (
            f"{feature} moves {question.about} both ways: between {_at(found, lowest, question)} "
            f"and {_at(found, highest, question)}.{gap}"
        )
    return (
        f"By {feature}, {question.about} is highest at {figures.value(places.values[highest])} "
        f"({_answer(found, highest, question)}) and lowest at "
        f"{figures.value(places.values[lowest])} ({_answer(found, lowest, question)}).{gap}"
    )


def _answer(found: Dependence, place: int, question: Question) -> str:
    return figures.answer(found.average[place], question.kind)


def _at(found: Dependence, place: int, question: Question) -> str:
    return f"{_answer(found, place, question)} at {figures.value(found.places.values[place])}"


def groups(by: str, found: Mapping[str, Mapping[str, Any]], question: Question) -> list[str]:
    """How the groups of a column differ, in their answers and in what matters."""
    known = {label: told for label, told in found.items() if told.get("importances")}
    if len(known) < 2:
        return []
    lowest = min(known, key=lambda label: known[label]["average"])
    highest = max(known, key=lambda label: known[label]["average"])
    low, high = (figures.answer(known[g]["average"], question.kind) for g in (lowest, highest))
    sentences = [
        f"Between groups by {by}, {question.about} is on average from {low} ({lowest}) to {high} "
        f"({highest})."
    ]
    first: dict[str, list[str]] = {}
    for label, told in known.items():
        first.setdefault(str(told["importances"][0]["feature"]), []).append(label)
    if len(first) == 1:
        sentences.append(f"In each of them {next(iter(first))} matters most.")
    else:
        told_first = [f"{name} for {together(labels)}" for name, labels in first.items()]
        sentences.append(f"What matters most differs between them: {'; '.join(told_first)}.")
    return sentences


def row(found: Mapping[str, Any], own_unit: str, question: Question) -> str:
    """Why one row is answered as it is."""
    same = found["unit"] == own_unit
    average = found["base"] if same else found["average"]
    told = (
        f"Row {found['row']}: {question.about} is {figures.number(found['answer'])}; on average it "
        f"is {figures.number(average)}."
    )
    moving = [c for c in found["contributions"] if c["contribution"]]
    if not moving:
        return f"{told} No column moves it from there."
    if same:
        verbs, unit = ("raises it by", "lowers it by"), ""
    else:
        verbs, unit = ("adds", "takes away"), f" In {found['unit']},"
    named = [
        f"{c['feature']} = {figures.value(c['value'])} {verbs[c['contribution'] < 0]} "
        f"{figures.small(abs(c['contribution']))}"
        for c in moving[:_NAMED]
    ]
    rest = sum(c["contribution"] for c in moving[_NAMED:])
    if moving[_NAMED:]:
        named.append(f"the other {len(moving) - _NAMED} together {_signed(rest)}")
    return f"{told}{unit} {together(named)}."


def _signed(value: float) -> str:
    return f"{'−' if value < 0 else '+'}{figures.small(abs(value))}"


def together(names: Sequence[str]) -> str:
    """``a, b and c``."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"
