"""Which functions of a notebook or of the settings' file goals may name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fairlearn.metrics import selection_rate
from sklearn.metrics import accuracy_score, max_error

from mlops_magics.errors import BadGoal
from mlops_magics.goals import grammar, metrics
from mlops_magics.verbs import own_metrics, session


def gain(y_true: Any, y_pred: Any) -> float:
    """What a notebook may define."""
    return 1.0


class Caller:
    """Something that can be called and is no function."""

    def __call__(self, y_true: Any, y_pred: Any) -> float:
        return 1.0


def test_only_the_functions_that_the_goals_mention_are_lent() -> None:
    session.attach({"gain": gain, "other": gain, "_hidden": gain, "number": 3, "caller": Caller()})
    with own_metrics.known("gain >= 1\n_hidden >= 1\nnumber >= 1\ncaller >= 1") as own:
        assert dict(own.notebook) == {"gain": gain}
        assert metrics.find("gain").name == "gain"
        assert own.find("gain") is gain
        assert own.find("other") is None
    with pytest.raises(BadGoal, match="no metric 'gain'"):
        grammar.parse("gain >= 1")


def test_what_a_notebook_imports_from_a_library_of_metrics_is_not_its_own() -> None:
    taken = {f.__name__: f for f in (selection_rate, accuracy_score, max_error)}
    session.attach({**taken, "gain": gain})
    text = "selection_rate gap <= 1 by Home\naccuracy_score >= 1\nmax_error <= 3"
    with own_metrics.known(text) as own:
        assert not own.notebook
        assert not own.used(grammar.parse("selection_rate gap <= 1 by Home"))


def test_a_function_with_the_name_of_a_metric_is_refused_where_a_goal_names_it() -> None:
    session.attach({"recall": gain, "gain": gain})
    with (
        own_metrics.known("recall >= 1\ngain >= 1"),
        pytest.raises(BadGoal, match=r"line 1, column 1: The function 'recall' has the name of a"),
    ):
        grammar.parse("recall >= 1\ngain >= 1")


def test_a_function_of_another_shape_does_not_stand_in_the_way_of_other_goals() -> None:
    session.attach({"Home": lambda: None, "gain": gain})
    text = "gain >= 1 by Home"
    with own_metrics.known(text) as own:
        (goal,) = grammar.parse(text)
        assert list(own.used([goal])) == ["gain"]


def test_the_files_function_holds_and_its_source_is_kept(project: Path) -> None:
    (project / "mlops.toml").write_text('metrics = "ours.py"\n', encoding="utf-8")
    source = "def gain(y_true, y_pred):\n    return 2.0\n"
    (project / "ours.py").write_text(
        f"from sklearn.metrics import max_error\nfrom math import sqrt\n\n\n{source}",
        encoding="utf-8",
    )
    session.attach({"gain": gain})
    with own_metrics.known("gain >= 1\nmax_error <= 1\nsqrt >= 1") as own:
        assert list(own.file) == ["gain"]
        assert not own.notebook
        kept = own.used(grammar.parse("gain >= 1"))
    assert kept == {"gain": {"where": "ours.py", "file": True, "source": source}}
