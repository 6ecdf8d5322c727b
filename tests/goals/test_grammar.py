"""The goal language: everything it says is read, everything wrong is said at once."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_magics.errors import BadGoal
from mlops_magics.goals import grammar, units


def one(text: str) -> grammar.Goal:
    (goal,) = grammar.parse(text)
    return goal


def test_the_whole_language_is_read() -> None:
    text = """
    # what the business asks for
    roc_auc >= 0.80
    roc_auc >= champion - 0.005          # not worse than the champion
    recall >= 0.60 by Home               # in every group
    recall gap <= 0.10 by "Marital # status"

    profit(tp=100, fp=-20) >= 5000
    p95_latency <= 20 ms
    model_size <= 50 MB
    drift(Income) <= 0.2
    drift("Monthly income") <= 0.2
    drift(*) < .2
    roc_auc >= 0.80 with 95%
    f1 > baseline + 1%
    error_rate <= 1%
    missing(Income) <= 10%
    """
    goals = grammar.parse(text)
    assert [g.metric for g in goals] == [
        "roc_auc",
        "roc_auc",
        "recall",
        "recall",
        "profit",
        "p95_latency",
        "model_size",
        "drift",
        "drift",
        "drift",
        "roc_auc",
        "f1",
        "error_rate",
        "missing",
    ]
    assert goals[1].reference == "champion"
    assert goals[1].bound == -0.005
    assert goals[1].text == "roc_auc >= champion - 0.005"
    assert goals[1].line == 4
    assert (goals[2].by, goals[2].spread) == ("Home", "")
    assert (goals[3].by, goals[3].spread) == ("Marital # status", "gap")
    assert goals[4].params == (("tp", 100.0), ("fp", -20.0))
    assert (goals[5].bound, goals[5].unit) == (0.02, "ms")
    assert goals[6].bound == 50e6
    assert [g.column for g in goals[7:10]] == ["Income", "Monthly income", "*"]
    assert goals[10].level == 0.95
    assert (goals[11].reference, goals[11].bound) == ("baseline", 0.01)
    assert goals[12].bound == 0.01


@pytest.mark.parametrize(
    ("text", "column", "says"),
    [
        ("roc_auc 0.8", 9, ">=, >, <=, <"),
        ("roc_auc >=", 11, "champion, baseline, a number"),
        ("roc_auc == 0.8", 9, "== is no goal"),
        ("roc_auc = 0.8", 9, "== is no goal"),
        ("roc_auc != 0.8", 9, "!= is no goal"),
        ("roc_auc => 0.8", 9, "is written >="),
        ("roc_aux >= 0.8", 1, "Did you mean 'roc_auc'"),
        ("0.8 <= roc_auc", 1, "begins with a metric"),
        ("recall gap <= 0.1", 11, "add by COLUMN"),
        ("p95_latency <= 20", 18, "us, ms or s"),
        ("p95_latency <= 20 MB", 19, "not measured in MB"),
        ("p95_latency <= 20 msec", 19, "Did you mean 'ms'"),
        ("model_size <= 20 ms", 18, "KB or MB or GB"),
        ("brier <= 5%", 11, "a plain number"),
        ("brier <= 0.2 extra", 14, "'extra' can't stand here"),
        ("drift <= 0.1", 6, "drift(Income)"),
        ("drift(a, b) <= 0.1", 10, "one column"),
        ("roc_auc(Income) > 1", 9, "takes no column"),
        ("drift(Income) <= champion", 18, "can't be compared with a champion"),
        ("profit >= 3", 7, "needs an amount"),
        ("profit(tpp=3) >= 3", 8, "Did you mean 'tp'"),
        ("profit(tp=1, threshold=high) >= 3", 14, "is a number"),
        ("profit(tp=1, tp=2) >= 3", 14, "given twice"),
        ("f1(average=best) >= 0.5", 4, "macro, weighted, micro"),
        ("roc_auc(x=1) >= 0.5", 9, "takes no parameter"),
        ("roc_auc >= 0.8 by", 18, "a name or a quoted name"),
        ("roc_auc >= 0.8 with 95", 23, "%"),
        ("roc_auc >= 0.8 with 5%", 21, "between 50% and 100%"),
        ("roc_auc >= 0.8 by Home by Job", 24, "twice"),
        ("roc_auc >= 0.8 with 90% with 95%", 25, "twice"),
        ("p95_latency <= 3 ms by Home", 21, "not measured by group"),
        ("drift(Income) <= 0.2 with 95%", 22, "no interval"),
        ('drift("Income) <= 0.2', 7, "never closed"),
        ("roc_auc >= 0.8 § 3", 16, "the end of the line"),
        ("roc_auc >= champion -", 22, "a number"),
    ],
)
def test_an_error_names_its_column_and_what_would_be_valid(
    text: str, column: int, says: str
) -> None:
    with pytest.raises(BadGoal) as caught:
        grammar.parse(f"roc_auc >= 0.5\n  {text}")
    message = str(caught.value)
    assert f"line 2, column {column + 2}: " in message
    assert says in message
    # The caret stands under that column of the line as it was written.
    shown, caret = message.splitlines()[-2:]
    assert caret.index("^") == shown.index(text) + column - 1


def test_all_bad_lines_are_reported_at_once() -> None:
    bad = "\n".join(f"nothing_{i} >= {i}" for i in range(40))
    with pytest.raises(BadGoal) as caught:
        grammar.parse(f"roc_auc >= 0.8\n{bad}\nf1 >= 0.5")
    message = str(caught.value)
    assert message.startswith("40 goals can't be read.")
    assert all(f"line {i + 2}, column 1" in message for i in range(40))
    assert caught.value.exit_code == 2
    goals, problems = grammar.check(f"roc_auc >= 0.8\n{bad}\nf1 >= 0.5")
    assert [g.metric for g in goals] == ["roc_auc", "f1"]
    assert len(problems) == 40


@pytest.mark.parametrize("text", ["", "\n \n", "# only a comment\n"])
def test_no_goal_at_all_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(BadGoal, match=r"roc_auc >= 0\.80"):
        grammar.parse(text)


def test_names_that_look_like_keywords_are_names_where_a_name_stands() -> None:
    assert one("recall >= 0.5 by by").by == "by"
    assert one("recall >= 0.5 by with with 90%").by == "with"
    assert one("drift(champion) <= 0.2").column == "champion"
    assert one("drift('it\\'s') <= 0.2").column == "it's"
    assert one("drift(Größe) <= 0.2").column == "Größe"


def test_any_scorer_of_scikit_learn_is_a_metric() -> None:
    assert one("f1_macro >= 0.5").metric == "f1_macro"
    assert one("neg_max_error >= -3").bound == -3


@given(st.text(max_size=40))
def test_no_text_breaks_the_parser(text: str) -> None:
    goals, problems = grammar.check(text)
    lines = text.splitlines()
    for problem in problems:
        assert 1 <= problem.line <= len(lines)
        assert 1 <= problem.column <= len(lines[problem.line - 1]) + 1
    assert len(goals) + len(problems) <= len(lines)


@given(
    st.sampled_from(["roc_auc", "recall", "brier"]),
    st.sampled_from([">=", ">", "<=", "<"]),
    st.floats(-1e6, 1e6, allow_nan=False).map(lambda v: round(v, 6)),
    st.text(st.characters(blacklist_characters='"\\\n\r', categories=["L", "N", "P", "Zs"])),
)
def test_what_is_written_is_what_is_read(
    metric: str, comparator: str, bound: float, column: str
) -> None:
    if len(f"x{column}x".splitlines()) > 1:
        return
    goal = one(f'{metric} {comparator} {bound} by "{column}"')
    assert (goal.metric, goal.comparator, goal.bound, goal.by) == (
        metric,
        comparator,
        pytest.approx(bound),
        column,
    )


def test_a_goal_knows_when_it_holds() -> None:
    assert one("roc_auc >= 0.8").holds(0.8)
    assert not one("roc_auc > 0.8").holds(0.8)
    assert one("brier <= 0.8").holds(0.8)
    assert not one("brier < 0.8").holds(0.8)
    assert not one("roc_auc >= 0.8").holds(float("nan"))


@pytest.mark.parametrize("unit", units.UNITS)
def test_units_go_there_and_back(unit: str) -> None:
    assert units.from_base(units.to_base(12.5, unit), unit) == pytest.approx(12.5)


def test_reading_a_goal_imports_no_scikit_learn() -> None:
    code = (
        "import sys; from mlops_magics.goals import grammar;"
        "grammar.parse('roc_auc >= champion - 0.005 by Home');"
        "sys.exit('sklearn' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
