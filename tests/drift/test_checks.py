"""Rows looked at before a model is judged on them: what fails, what warns, and what is chance."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlops_magics import evidence
from mlops_magics.drift import checks
from mlops_magics.records import DataCheck, Dataset

FEATURES = ["Seniority", "Home", "Age", "Income", "Amount", "Records"]


@pytest.fixture
def sides(credit: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows of training and others, by chance."""
    rows = credit[[*FEATURES, "Status"]].sample(frac=1, random_state=0)
    return rows.iloc[:3000].copy(), rows.iloc[3000:].copy()


def recorded(learned: pd.DataFrame, target: str = "Status", **split: Any) -> Dataset:
    kind = evidence.splitting.task(learned[target])
    return Dataset(
        name="credit",
        digest="sha256:0",
        rows=len(learned),
        target=target,
        schema=evidence.data.schema(learned),
        task=kind,
        split=split,
        profile=evidence.profile.profile(learned),
    )


def look(
    now: pd.DataFrame, learned: pd.DataFrame, target: str = "Status", **split: Any
) -> dict[str, DataCheck]:
    found = checks.check(now, learned, recorded(learned, target, **split), target=target)
    assert all(c.remedy for c in found if c.status == "failed")
    assert all(c.found.endswith((".", "?")) for c in found)
    return {c.name: c for c in found}


def test_unseen_rows_of_the_same_kind_are_well(sides: Any) -> None:
    learned, now = sides
    found = look(now, learned)
    assert {name: c.status for name, c in found.items()} == dict.fromkeys(
        ["schema", "values", "target leakage", "seen rows", "duplicates", "labels"], "passed"
    )
    assert found["schema"].found == "All 6 columns are as in training."


def test_columns_that_are_missing_or_hold_something_else(sides: Any) -> None:
    learned, now = sides
    renamed = now.rename(columns={"Income": "Incomes"})
    # Nobody said that the model needs more than is there.
    assert look(renamed, learned)["schema"].status == "passed"
    wrong = renamed.assign(Age="old", Amount=now["Amount"] * 1.0)
    found = checks.check(wrong, learned, recorded(learned), target="Status", needed=FEATURES)
    schema = found[0]
    assert schema.status == "failed"
    assert "Income is missing from the rows." in schema.found
    assert "Age holds text, and held whole numbers in training." in schema.found
    assert "Did you mean 'Incomes'" in schema.remedy
    assert schema.facts["missing"] == ["Income"]
    text = now.assign(Age=now["Age"].astype(str))
    (schema, *_) = checks.check(text, learned, recorded(learned), target="Status")
    assert (schema.status, schema.facts["readable"][0][:8]) == ("warned", "Age hold")


def test_what_training_never_held_warns(sides: Any) -> None:
    learned, now = sides
    now.loc[now.index[:300], "Home"] = "tent"
    now.loc[now.index[:300], "Income"] = None
    now["Age"] *= 100
    values = look(now, learned)["values"]
    assert values.status == "warned"
    assert "Home has new category 'tent'" in values.found
    assert len(values.facts["findings"]) == 3


def test_rows_that_the_model_has_seen_fail_beyond_chance(sides: Any) -> None:
    learned, now = sides
    mixed = pd.concat([now, learned.head(200)])
    seen = look(mixed, learned)["seen rows"]
    assert seen.status == "failed"
    assert seen.facts["seen"] >= 200
    assert "its figures flatter it" in seen.found
    # Rows from a file compare with rows in memory: 1 is 1.0, and a category is its text.
    other = learned.head(500).assign(
        Age=lambda f: f["Age"] * 1.0, Home=lambda f: f["Home"].astype("category")
    )
    assert look(other, learned)["seen rows"].facts["seen"] == 500


def test_rows_of_few_categories_are_alike_by_chance() -> None:
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"a": rng.integers(0, 3, 900), "b": rng.integers(0, 2, 900)})
    rows["y"] = np.where(rng.random(900) < 0.5, "yes", "no")
    found = look(rows.iloc[600:], rows.iloc[:600], "y")
    assert (found["seen rows"].status, found["duplicates"].status) == ("passed", "passed")
    assert found["seen rows"].facts["seen"] == 300
    assert "(about 300 by chance)" in found["seen rows"].found


def test_copies_warn_and_many_fail(sides: Any) -> None:
    learned, now = sides
    some = pd.concat([now, now.head(100)])
    assert look(some, learned)["duplicates"].status == "warned"
    many = pd.concat([now] * 3)
    copies = look(many, learned)["duplicates"]
    assert copies.status == "failed"
    assert copies.facts["copies"] == len(many) - len(now.drop_duplicates())


@pytest.mark.parametrize("kind", [str, int], ids=["text", "numbers"])
def test_classes_that_are_new_rare_or_more_than_they_were(sides: Any, kind: type) -> None:
    learned, now = sides
    if kind is int:
        for side in (learned, now):
            side["Status"] = (side["Status"] == "bad").astype(int)
    bad, good, new = ("bad", "good", "worse") if kind is str else (1, 0, 7)
    is_bad = now["Status"] == bad
    balanced = pd.concat([now[is_bad], now[~is_bad].head(100)])
    labels = look(balanced, learned)["labels"]
    assert labels.status == "failed"
    assert f"{str(bad)!r} is" in labels.found or f"{str(good)!r} is" in labels.found
    assert labels.facts["psi"] > 0.2
    rare = pd.concat([now[is_bad].head(8), now[~is_bad].head(30)])
    assert look(rare, learned)["labels"].status == "warned"
    more = now.copy()
    more.loc[more.index[:12], "Status"] = new
    labels = look(more, learned)["labels"]
    assert labels.status == "failed"
    assert f"without the class {str(new)!r} (12 rows)" in labels.found


def test_a_number_that_moved(sides: Any) -> None:
    learned, now = sides
    assert look(now, learned, "Amount")["labels"].status == "passed"
    dearer = now.assign(Amount=now["Amount"] * 2)
    labels = look(dearer, learned, "Amount")["labels"]
    assert labels.status == "failed"
    assert labels.facts["ks"] > 0.3


def test_what_gives_the_target_away(sides: Any) -> None:
    learned, now = sides
    copy = now.assign(Home=np.where(now["Status"] == "bad", "b", "g"))
    leakage = look(copy, learned)["target leakage"]
    assert (leakage.status, leakage.facts["columns"]) == ("failed", ["Home"])
    # One that only predicts too well may be honest: it warns.
    rng = np.random.default_rng(0)
    noisy = now.assign(Amount=(now["Status"] == "bad") * 1000 + rng.normal(0, 10, len(now)))
    leakage = look(noisy, learned)["target leakage"]
    assert (leakage.status, leakage.facts["columns"]) == ("warned", ["Amount"])
    # A column that the model does not take gives nothing away to it.
    kept = checks.check(copy, learned, recorded(learned), target="Status", needed=["Age", "Income"])
    assert {c.name: c.status for c in kept}["target leakage"] == "passed"


def test_groups_and_times_that_the_split_kept_apart(sides: Any) -> None:
    learned, now = sides
    learned["who"], now["who"] = np.arange(len(learned)), 10_000 + np.arange(len(now))
    learned["day"] = pd.date_range("2024-01-01", periods=len(learned), freq="h")
    now["day"] = pd.date_range("2026-01-01", periods=len(now), freq="h")
    found = look(now, learned, group="who", time="day")
    assert (found["groups"].status, found["time"].status) == ("passed", "passed")
    now["who"] %= 10_500
    now["day"] -= pd.Timedelta(days=720)
    found = look(now, learned, group="who", time="day")
    assert (found["groups"].status, found["time"].status) == ("failed", "failed")
    assert "stand in the training rows as well" in found["groups"].found
    assert found["time"].facts["early"] > 300


def test_without_the_rows_of_training_it_says_so(sides: Any) -> None:
    learned, now = sides
    found = {c.name: c for c in checks.check(now, None, recorded(learned), target="Status")}
    assert found["seen rows"].status == "warned"
    assert "can't be had" in found["seen rows"].found
    assert (found["schema"].status, found["labels"].status) == ("passed", "passed")
    bare = {c.name: c for c in checks.check(now, None, None, target="Status")}
    assert "are not recorded" in bare["seen rows"].found
    assert bare["labels"].status == "warned"
    assert "schema" not in bare


def test_odd_columns_break_nothing(sides: Any) -> None:
    learned, now = sides
    for side in (learned, now):
        side["lists"] = [[i] for i in range(len(side))]
        side["gone"] = None
        side["when"] = pd.Timestamp("2026-01-01", tz="UTC")
    found = look(now, learned)
    assert found["seen rows"].status == "passed"
    empty = checks.check(now.iloc[:0], learned, recorded(learned), target="")
    assert empty
    one = replace(recorded(learned), profile={})
    assert checks.check(now, learned, one, target="Status")
