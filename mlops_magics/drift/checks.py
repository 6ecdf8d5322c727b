"""Rows looked at before a model is judged on them: can a verdict on them mean what it says?

Each check is a `DataCheck`. One that *fails* would make the figures wrong or flattering, and fails
the verdict with it, unless somebody takes that upon them by name. One that *warns* tells what a
reader of the figures should know.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from mlops_magics.drift import labels, overlap, quality, reading
from mlops_magics.errors import did_you_mean
from mlops_magics.evidence import data, predictors, rows
from mlops_magics.records import Column, DataCheck, Dataset

#: Rows in which a column that gives the target away is looked for.
SAMPLE = 1000
#: So many findings of one check are told in words; all stand in its facts.
TOLD = 3


def check(
    frame: pd.DataFrame,
    learned: pd.DataFrame | None,
    training: Dataset | None,
    *,
    target: str,
    needed: Sequence[str] = (),
) -> list[DataCheck]:
    """Look at rows beside what the model was trained on.

    Parameters
    ----------
    frame : DataFrame
        The rows that the model is to be judged on, with their target.
    learned : DataFrame or None
        The rows it was trained on, where they can be had.
    training : Dataset or None
        What is recorded of these: schema, profile, how they were split off.
    target : str
        The target's column; empty where there is none.
    needed : sequence of str
        The columns that the model takes; by default all but the target.

    Returns
    -------
    list of DataCheck
        ``schema``, ``values``, ``target leakage``, ``seen rows``, ``groups``, ``time``,
        ``duplicates`` and ``labels``, as far as there is something to compare with.
    """
    profile = _profile(training, learned)
    used = [c for c in needed or map(str, frame.columns) if c != target]
    return list(_checks(frame, learned, training, profile, target, used))


def _checks(
    frame: pd.DataFrame,
    learned: pd.DataFrame | None,
    training: Dataset | None,
    profile: Mapping[str, Mapping[str, Any]],
    target: str,
    used: Sequence[str],
) -> Iterator[DataCheck]:
    wanted = {name: profile[name] for name in used if name in profile}
    if profile:
        yield _schema(frame, wanted, used)
        yield _values(frame, wanted)
    here = [name for name in used if name in frame.columns]
    if target in frame.columns and here:
        yield _leakage(frame[[*here, target]], target)
    compared = [*here, *([target] if target in frame.columns else [])]
    if learned is not None:
        compared = [name for name in compared if name in learned.columns]
    now = rows.hashes(frame[compared])
    before = rows.hashes(learned[compared]) if learned is not None and compared else None
    yield overlap.seen_rows(now, before, training is not None)
    split = training.split if training is not None else {}
    if learned is not None and (group := str(split.get("group") or "")):
        yield from overlap.groups(frame, learned, group)
    if learned is not None and (time := str(split.get("time") or "")):
        yield from overlap.time(frame, learned, time)
    yield overlap.duplicates(now, before)
    if target in frame.columns:
        task = training.task if training is not None and training.target == target else ""
        given = learned[target] if learned is not None and target in learned.columns else None
        yield labels.check(frame[target], given, profile.get(target), task)


def _profile(
    training: Dataset | None, learned: pd.DataFrame | None
) -> Mapping[str, Mapping[str, Any]]:
    if training is not None and training.profile:
        return training.profile
    if learned is None:
        return {}
    from mlops_magics.evidence import profile

    return profile.profile(learned)


def _schema(
    frame: pd.DataFrame, wanted: Mapping[str, Mapping[str, Any]], used: Sequence[str]
) -> DataCheck:
    """Columns that are missing, or hold something else than they did."""
    gone = [name for name in used if name not in frame.columns]
    read = {n: reading.read(p, frame[n]) for n, p in wanted.items() if n in frame.columns}
    changed = [f"{name} {r.note}" for name, r in read.items() if r.values is None]
    readable = [f"{name} {r.note}" for name, r in read.items() if r.values is not None and r.note]
    facts = {"missing": gone, "changed": changed, "readable": readable}
    if gone or changed:
        missing = [f"{name} is missing from the rows." for name in gone]
        near = did_you_mean(gone[0], [str(c) for c in frame.columns]) if gone else ""
        return DataCheck(
            name="schema",
            status="failed",
            found=_told([*missing, *changed]),
            remedy=f"Give the columns that the model was trained on. {near}".strip(),
            facts=facts,
        )
    if readable:
        remedy = "Read them as they were in training, or the model may take them for new values."
        return DataCheck(
            name="schema", status="warned", found=_told(readable), remedy=remedy, facts=facts
        )
    count = len(read)
    found = f"All {count} columns are as in training." if count else "Nothing to compare with."
    return DataCheck(name="schema", status="passed", found=found, facts=facts)


def _values(frame: pd.DataFrame, wanted: Mapping[str, Mapping[str, Any]]) -> DataCheck:
    """Gaps, categories and ranges that training did not have."""
    here = {name: profile for name, profile in wanted.items() if name in frame.columns}
    same = {n: p for n, p in here.items() if not reading.read(p, frame[n]).note}
    found = quality.of_columns(same, frame)
    if not found:
        return DataCheck(
            name="values",
            status="passed",
            found="Gaps, categories and ranges are those of training.",
        )
    return DataCheck(
        name="values",
        status="warned",
        found=_told(found),
        remedy="Are these rows of the kind that the model is for?",
        facts={"findings": found},
    )


def _leakage(frame: pd.DataFrame, target: str) -> DataCheck:
    """Columns that give the target away."""
    if len(frame) > SAMPLE:
        frame = frame.sample(SAMPLE, random_state=0)
    known: dict[str, Column] = {column.name: column for column in data.schema(frame)}
    signs = predictors.find(frame, target, known)
    facts = {"columns": [sign.column for sign in signs]}
    if not signs:
        found = "No column gives the target away."
        return DataCheck(name="target leakage", status="passed", found=found, facts=facts)
    surely = [sign for sign in signs if sign.surely]
    return DataCheck(
        name="target leakage",
        status="failed" if surely else "warned",
        found=_told([sign.sentence for sign in (*surely, *(s for s in signs if not s.surely))]),
        remedy="Train without what is not known at the time of a prediction.",
        facts=facts,
    )


def _told(sentences: Sequence[str]) -> str:
    more = f" And {len(sentences) - TOLD} more." if len(sentences) > TOLD else ""
    return " ".join(sentences[:TOLD]) + more
