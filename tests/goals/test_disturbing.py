"""Goals ``under noise`` and ``under missing``: the model is asked again, once for each."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import log_loss, recall_score, roc_auc_score

from mlops_magics.goals import grammar, judging, robustness
from mlops_magics.goals.samples import Sample, Undefined, sample
from mlops_magics.goals.subject import Subject
from mlops_magics.records import GoalResult

ROWS = 1200
_RNG = np.random.default_rng(0)
INPUTS = pd.DataFrame({"a": _RNG.normal(0, 1, ROWS), "b": _RNG.normal(50, 10, ROWS)})
TRUTH = np.where(
    INPUTS["a"] + (INPUTS["b"] - 50) / 10 + _RNG.normal(0, 1, ROWS) > 0.8, "bad", "good"
)
TRAINING, UNSEEN = slice(0, 600), slice(600, ROWS)
HOMES = pd.Series(np.tile(["own", "rent"], 300), index=INPUTS.index[UNSEEN], name="Home")
MODEL = HistGradientBoostingClassifier(max_iter=30).fit(INPUTS[TRAINING], TRUTH[TRAINING])


class Asked:
    """The model, and how often it was asked."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self, inputs: pd.DataFrame) -> Sample:
        self.times += 1
        return sample(
            "classification",
            TRUTH[UNSEEN],
            MODEL.predict(inputs),
            MODEL.predict_proba(inputs),
            MODEL.classes_,
            "bad",
        )


def subject(ask: Any = None, **more: Any) -> Subject:
    inputs = INPUTS[UNSEEN]
    return Subject(
        name="credit/3",
        sample=Asked()(inputs),
        inputs=inputs,
        features=inputs.assign(Home=HOMES),
        training=INPUTS[TRAINING],
        ask=Asked() if ask is None else ask,
        **more,
    )


def judge(text: str, of: Subject | None = None, **options: Any) -> GoalResult:
    (result,) = judging.judge(grammar.parse(text), of or subject(), resamples=100, **options)
    return result


def area(kind: str = "", amount: float = 0.0, seed: int = 0) -> float:
    """Straight from the model, on inputs that were disturbed in the same way."""
    inputs = INPUTS[UNSEEN]
    if kind:
        inputs = robustness.disturbed(inputs, kind, amount, INPUTS[TRAINING], seed)
    at = list(MODEL.classes_).index("bad")
    return float(roc_auc_score(TRUTH[UNSEEN] == "bad", MODEL.predict_proba(inputs)[:, at]))


@pytest.mark.parametrize(("kind", "amount"), [("noise", 0.1), ("noise", 1.0), ("missing", 0.2)])
def test_the_figure_is_that_of_the_answers_to_the_disturbed_inputs(
    kind: str, amount: float
) -> None:
    value = area(kind, amount)
    goal = f"roc_auc >= {value - 1e-6} under {kind} {100 * amount:g}%"
    result = judge(goal)
    assert result.passed
    assert result.value == pytest.approx(value)
    assert result.interval is not None
    assert result.interval[0] < value < result.interval[1]
    assert not judge(goal.replace(str(value - 1e-6), str(value + 1e-6))).passed
    # The amount may be written as a number too.
    assert judge(goal.replace(f"{100 * amount:g}%", f"{amount:g}")).value == result.value
    assert judge(goal, seed=5).value == pytest.approx(area(kind, amount, seed=5))


def test_a_drop_is_what_is_lost_by_it() -> None:
    loss = area() - area("missing", 0.2)
    assert loss > 0.01
    result = judge(f"roc_auc drop <= {loss + 1e-6} under missing 20%")
    assert result.passed
    assert result.value == pytest.approx(loss)
    assert not judge(f"roc_auc drop <= {loss - 1e-6} under missing 20%").passed
    assert not judge(f"roc_auc drop <= {loss + 1e-3} under missing 20% with 95%").passed
    # Both are measured on the same resamples, so that what the rows do to both cancels.
    assert result.interval is not None
    low, high = result.interval
    wide = judge("roc_auc >= 0 under missing 20%").interval
    assert wide is not None
    assert high - low < wide[1] - wide[0]


def test_a_drop_of_a_loss_is_how_much_it_grows() -> None:
    inputs = robustness.disturbed(INPUTS[UNSEEN], "noise", 1.0, INPUTS[TRAINING], 0)
    plain, worse = (
        log_loss(TRUTH[UNSEEN], MODEL.predict_proba(rows)) for rows in (INPUTS[UNSEEN], inputs)
    )
    result = judge("log_loss drop <= 0.01 under noise 100%")
    assert result.value == pytest.approx(worse - plain)
    assert not result.passed


def test_every_group_is_judged_under_it() -> None:
    inputs = robustness.disturbed(INPUTS[UNSEEN], "noise", 0.5, INPUTS[TRAINING], 0)
    each = []
    for home in ("own", "rent"):
        rows = HOMES.eq(home)
        said = MODEL.predict(inputs[rows])
        each.append(recall_score(TRUTH[UNSEEN][rows], said, pos_label="bad"))
    result = judge("recall >= 0.99 by Home under noise 50%")
    assert [g["value"] for g in result.groups] == pytest.approx(each)
    gap = judge("recall gap <= 1 by Home under noise 50%")
    assert gap.value == pytest.approx(max(each) - min(each))
    loss = judge("recall drop <= 1 by Home under noise 50%")
    before = judge("recall >= 0 by Home")
    lost = [b["value"] - a for a, b in zip(each, before.groups, strict=True)]
    assert [g["value"] for g in loss.groups] == pytest.approx(lost)


def test_the_model_is_asked_once_for_each_disturbance() -> None:
    ask = Asked()
    goals = grammar.parse(
        "roc_auc >= 0.5 under noise 10%\nf1 >= 0 by Home under noise 10%\n"
        "recall drop <= 1 under noise 10%\nroc_auc >= 0.5 under noise 20%\n"
        "roc_auc >= 0.5 under missing 10%\nroc_auc >= 0.5"
    )
    results = judging.judge(goals, subject(ask), resamples=20)
    assert all(r.passed for r in results)
    assert ask.times == 3


def test_a_champion_is_asked_with_the_same_disturbed_inputs() -> None:
    twin = replace(subject(), name="credit/2")
    for clause in ("", " drop"):
        at_least, above = (">=", ">") if not clause else ("<=", "<")
        goal = f"roc_auc{clause} {{}} champion under noise 50%"
        assert judge(goal.format(at_least), champion=twin).passed
        assert not judge(goal.format(above), champion=twin).passed
    unasked = Subject(name="credit/1", sample=twin.sample)
    result = judge("roc_auc >= champion under noise 50%", champion=unasked)
    assert not result.passed
    assert "credit/1 can't be asked again, with other inputs" in result.reason


def test_what_has_no_answer_to_disturbed_inputs_has_failed_and_says_why() -> None:
    def raises(inputs: pd.DataFrame) -> Sample:
        raise Undefined("credit/3 raised ValueError: Input X contains NaN")

    result = judge("roc_auc >= 0 under missing 20%", subject(raises))
    assert not result.passed
    assert "under missing 0.2: credit/3 raised ValueError: Input X contains NaN" in result.reason
    assert judge("roc_auc >= 0", subject(raises)).passed

    def silent(inputs: pd.DataFrame) -> Sample:
        found = Asked()(inputs)
        said = found.predictions.copy()
        said[:4] = None
        return replace(found, predictions=said)

    result = judge("roc_auc >= 0 under noise 20%", subject(silent))
    assert "under noise 0.2: 4 of 600 predictions are missing (NaN)" in result.reason
    # What is wrong without any disturbance is said first.
    broken = subject(problem="the model raised KeyError: 'b'")
    assert "raised KeyError" in judge("roc_auc >= 0 under noise 20%", broken).reason
