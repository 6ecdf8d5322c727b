"""`log`: for the open run, and after the fact."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import mlops_magics as mlops
from mlops_magics import store
from mlops_magics.doors import cli
from mlops_magics.errors import UnknownName, WrongUsage
from mlops_magics.verbs import live


def stored(run_id: str) -> Any:
    return store.runs.get(run_id).data


def history(run_id: str, name: str) -> list[tuple[int, float]]:
    import mlflow

    found = mlflow.MlflowClient().get_metric_history(run_id, name)
    return [(m.step, m.value) for m in found]


def trained() -> str:
    with mlops.train("credit") as run:
        pass
    return run.run_id


class TestOpen:
    def test_numbers_are_metrics_and_the_rest_parameters(self) -> None:
        with mlops.train("credit") as run:
            mlops.log("accuracy=0.91", "note=first try", param=["depth=5"], tag=["team=risk"])
            logged = mlops.log({"loss": np.float32(0.5), "shuffled": True, "order": "by date"})
        data = stored(run.run_id)
        assert data.metrics == {"accuracy": 0.91, "loss": 0.5}
        assert data.params == {
            "note": "first try",
            "depth": "5",
            "shuffled": "true",
            "order": "by date",
        }
        assert data.tags["team"] == "risk"
        assert (logged.run_id, logged.name) == (run.run_id, "credit")
        assert "mlops.logged_after" not in data.tags

    def test_iterations(self) -> None:
        with mlops.train("credit") as run:
            for step, loss in enumerate((0.9, 0.5)):
                mlops.log({"loss": loss}, step=step * 10)
            mlops.log({"loss": 0.4})
        assert history(run.run_id, "loss") == [(0, 0.9), (10, 0.5), (11, 0.4)]

    def test_from_many_threads_nothing_is_lost(self) -> None:
        def work(number: int) -> None:
            for step in range(200):
                mlops.log({f"loss_{number}": step}, step=step)

        with mlops.train("credit") as run:
            threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        for number in range(4):
            assert history(run.run_id, f"loss_{number}") == [(s, float(s)) for s in range(200)]

    def test_a_long_loop_is_thinned_and_keeps_its_last_value(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(live, "STORED", 10)
        with mlops.train("credit") as run:
            for step in range(100):
                mlops.log({"loss": step}, step=step)
        kept = [step for step, _ in history(run.run_id, "loss")]
        assert kept[:10] == list(range(10))
        assert kept[10:20] == list(range(10, 30, 2))
        assert kept[-1] == 99
        assert len(kept) < 45
        assert run.record is not None
        assert run.record.warnings[-1] == (
            "loss was reported 100 times: the first 10 values are stored, from there on every "
            "2nd, then every 4th and so on, and the last."
        )

    def test_what_was_measured_goes_before_what_the_cell_reported(
        self, names: dict[str, Any]
    ) -> None:
        with mlops.train("credit", data=(names["X_test"], names["y_test"])) as run:
            mlops.log({"accuracy": 2.0}, step=7)
            model = names["fresh"]().fit(names["X_train"], names["y_train"])
        measured = model.score(names["X_test"], names["y_test"])
        assert stored(run.run_id).metrics["accuracy"] == pytest.approx(measured)

    def test_a_parameter_does_not_change(self) -> None:
        with mlops.train("credit") as run:
            mlops.log("order=first")
            mlops.log("order=first")
            with pytest.raises(WrongUsage, match="was logged as 'first'"):
                mlops.log("order=second")
        assert stored(run.run_id).params == {"order": "first"}

    def test_from_a_cell(self, ip: Any) -> None:
        ip.run_cell("%%train credit\nloss = 0.25\n%log loss={loss} --step 3")
        run_id = store.runs.find(experiment="credit")[0].info.run_id
        assert history(run_id, "loss") == [(3, 0.25)]


class TestAfter:
    def test_the_last_run_of_this_process(self) -> None:
        run_id = trained()
        logged = mlops.log("accuracy=0.9", "note=late", tag="team=risk")
        assert logged.run_id == run_id
        data = stored(run_id)
        assert data.metrics == {"accuracy": 0.9}
        assert data.params["note"] == "late"
        (told,) = json.loads(data.tags["mlops.logged_after"])
        assert told["what"] == ["note", "accuracy", "team"]
        assert told["who"] == data.tags["mlops.actor"]
        assert told["at"].endswith("Z")
        assert data.tags["mlops.status"] == "finished"

    def test_a_metric_goes_behind_its_last_iteration(self) -> None:
        with mlops.train("credit") as run:
            mlops.log({"loss": 0.5}, step=9)
        mlops.log({"loss": 0.1})
        assert stored(run.run_id).metrics["loss"] == 0.1

    def test_each_addition_is_told(self) -> None:
        run_id = trained()
        mlops.log("a=1")
        mlops.log("b=2")
        told = json.loads(stored(run_id).tags["mlops.logged_after"])
        assert [t["what"] for t in told] == [["a"], ["b"]]

    def test_a_version_by_its_reference(self, names: dict[str, Any]) -> None:
        with mlops.train("credit") as run:
            model = names["fresh"]().fit(names["X_train"], names["y_train"])  # noqa: F841
        trained()
        assert mlops.log("churn=0.2", run="credit/1").run_id == run.run_id
        assert mlops.log("churn=0.2", run="credit@candidate").run_id == run.run_id
        assert mlops.log("churn=0.2", run=f"runs:/{run.run_id}").run_id == run.run_id

    def test_a_parameter_with_another_value_is_refused_before_anything_is_written(self) -> None:
        run_id = trained()
        mlops.log("order=first")
        with pytest.raises(WrongUsage, match="as 'first', and MLflow forbids"):
            mlops.log("order=second", "accuracy=0.9")
        assert stored(run_id).metrics == {}

    def test_the_record_still_proves_to_be_whole(self, names: dict[str, Any]) -> None:
        with mlops.train("credit"):
            model = names["fresh"]().fit(names["X_train"], names["y_train"])  # noqa: F841
        mlops.log("accuracy=0.9", run="credit/1")
        assert mlops.verify("credit/1").intact

    def test_unknown_runs(self) -> None:
        with pytest.raises(WrongUsage, match="No run of this process"):
            mlops.log("a=1")
        run_id = trained()
        with pytest.raises(UnknownName, match=run_id):
            mlops.log("a=1", run=run_id[:-1] + ("0" if run_id[-1] != "0" else "1"))
        with pytest.raises(UnknownName, match="no model 'other'"):
            mlops.log("a=1", run="other/3")

    def test_from_the_command_line(self, capsys: pytest.CaptureFixture[str]) -> None:
        run_id = trained()
        assert cli.main(["log", "accuracy=0.9", "--run", run_id, "--step", "2", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["metrics"] == {"accuracy": 0.9}
        assert history(run_id, "accuracy") == [(2, 0.9)]


@pytest.mark.parametrize(
    ("values", "match"),
    [
        ((), "nothing to log"),
        (("accuracy",), "no KEY=VALUE pair"),
        (("=1",), "no KEY=VALUE pair"),
        (("los$=1",), "can't be the name of a metric"),
        (({"loss": "high", "l?ss": 1},), "can't be the name of a metric"),
    ],
)
def test_what_can_not_be_logged(values: tuple[Any, ...], match: str) -> None:
    with mlops.train("credit"), pytest.raises(WrongUsage, match=match):
        mlops.log(*values)


class TestFiles:
    def test_a_file_and_a_folder(self, project: Path) -> None:
        (project / "notes.txt").write_text("kept")
        (project / "tables").mkdir()
        (project / "tables" / "a.csv").write_text("x\n1\n")
        with mlops.train("credit") as run:
            logged = mlops.log(file=["notes.txt", project / "tables"])
            (project / "notes.txt").write_text("changed later")
        assert logged.files == ("attached/notes.txt", "attached/tables")
        assert store.runs.fetch(run.run_id, "attached/notes.txt").read_text() == "kept"
        assert store.runs.fetch(run.run_id, "attached/tables/a.csv").read_text() == "x\n1\n"
        mlops.log(file="notes.txt")
        assert store.runs.fetch(run.run_id, "attached/notes.txt").read_text() == "changed later"

    def test_one_that_is_not_there(self, project: Path) -> None:
        (project / "notes.txt").touch()
        with mlops.train("credit"), pytest.raises(UnknownName, match=r"'notes\.txt'"):
            mlops.log(file="note.txt")

    def test_a_figure_of_a_cell(self, ip: Any) -> None:
        pytest.importorskip("matplotlib")
        ip.run_cell(
            "from matplotlib.figure import Figure\nfig = Figure()\nax = fig.subplots()\n"
            "ax.plot([1, 2])\nax.set_title('Loss & more')"
        )
        ip.run_cell("%%train credit\n%log --figure fig")
        run_id = store.runs.find(experiment="credit")[0].info.run_id
        logged = mlops.log(figure=ip.user_ns["ax"])  # axes stand for their figure
        png, svg = (store.runs.fetch(run_id, name) for name in logged.files)
        assert png.name.startswith("loss-more-")
        assert png.read_bytes().startswith(b"\x89PNG")
        assert b"<svg" in svg.read_bytes()

    def test_what_draws_itself(self) -> None:
        drawing = SimpleNamespace(_repr_svg_=lambda: "<svg/>")
        with mlops.train("credit") as run:
            logged = mlops.log(figure=drawing)
        assert [Path(f).suffix for f in logged.files] == [".svg"]
        assert store.runs.fetch(run.run_id, logged.files[0]).read_text() == "<svg/>"

    def test_a_variable_that_is_not_there_is_answered_with_the_nearest(self, ip: Any) -> None:
        ip.user_ns["picture"] = SimpleNamespace(_repr_svg_=lambda: "<svg/>")
        with mlops.train("credit"), pytest.raises(UnknownName, match="'picture'"):
            ip.run_line_magic("log", "--figure pictur")

    def test_no_figure(self) -> None:
        with mlops.train("credit"), pytest.raises(WrongUsage, match="A int is no figure"):
            mlops.log(figure=3)


def test_to_a_run_that_is_kept(project: Path) -> None:
    with mlops.train("credit") as run:
        (project / "mlflow.db").rename(project / "away.db")
    logged = mlops.log("accuracy=0.9", "note=late")
    assert "is kept on this machine" in logged.warnings[0]
    (project / "away.db").rename(project / "mlflow.db")
    mlops.status()
    assert stored(run.run_id).metrics == {"accuracy": 0.9}
    assert stored(run.run_id).params == {"note": "late"}
