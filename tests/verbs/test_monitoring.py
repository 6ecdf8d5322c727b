"""`monitor`: captured and given rows beside the training data, labels joined, thresholds judged."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import mlops_magics as mlops
from mlops_magics import store, targets
from mlops_magics.errors import BadData, BadGoal, UnknownName, WrongUsage
from mlops_magics.records import Dataset, Deployment, Monitoring
from mlops_magics.serving import captured_parts
from mlops_magics.serving.capture import Capture, Captured
from mlops_magics.serving.capture_rules import Rules
from mlops_magics.verbs import labelling, large, observing

COLUMNS = ["Seniority", "Time", "Age", "Amount", "Price"]


@pytest.fixture
def data(credit: pd.DataFrame) -> Dataset:
    """The model ``credit/1``, trained on recorded data and validated."""
    kept = credit[[*COLUMNS, "Home", "Status"]]
    data = mlops.prepare(kept, name="credit-data", target="Status", positive="bad", test=0.3)
    X, y = data.bindings["X_train"][COLUMNS], data.bindings["y_train"]
    with mlops.train("credit", data="credit-data"):
        model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y)  # noqa: F841
    mlops.validate("credit", goals="roc_auc >= 0.5")
    return data


@pytest.fixture
def unseen(data: Dataset) -> pd.DataFrame:
    return store.datasets.frames(data)[1].reset_index(drop=True)


Send = Callable[..., None]


@pytest.fixture
def send(project: Path) -> Send:
    """What a server captures, by the writer that a server uses; the deployment is stopped now."""

    def send(
        frame: pd.DataFrame | None,
        predictions: list[Any] | None = None,
        *,
        status: int = 200,
        error: str = "",
        age: timedelta = timedelta(0),
        model: str = "credit/1",
        rows_a_request: int = 1,
        latency_ms: float = 5.0,
        name: str = "credit",
        keys: Sequence[str] = (),
        rules: Rules | None = None,
    ) -> None:
        file = targets.state.folder(name) / "capture"
        capture = Capture(file, model, rules)
        capture.start()
        moment = int((datetime.now(UTC) - age).timestamp() * 1e6)
        parts = [None] if frame is None else range(0, len(frame), rows_a_request)
        for number, at in enumerate(parts):
            part = None if frame is None or at is None else frame.iloc[at : at + rows_a_request]
            said = [] if at is None else (predictions or [])[at : at + rows_a_request]
            capture.put(
                Captured(
                    request_id=f"r{moment}-{at}",
                    time=moment,
                    status=status,
                    latency_ms=latency_ms,
                    client_id=f"c{at}",
                    rows=0 if part is None else len(part),
                    error=error,
                    columns=part,
                    outputs=json.dumps(said) if part is not None else "",
                    size=1,
                    client_key=keys[number] if keys else "",
                )
            )
        capture.close()
        targets.state.save(
            Deployment(
                name=name,
                model="credit/1",
                target="local",
                url="http://127.0.0.1:1",
                status="stopped",
                capture=str(file),
            )
        )

    return send


def answers(frame: pd.DataFrame) -> list[str]:
    """What credit/1 says of these rows."""
    from mlops_magics import flavors

    path = store.versions.local_path(store.versions.resolve("credit/1"))
    return [str(v) for v in flavors.load(path).predict(frame[COLUMNS])]


def drifted(record: Monitoring) -> set[str]:
    return {f["name"] for f in record.features if f["drifted"]}


def test_traffic_like_the_training_data_is_well(unseen: pd.DataFrame, send: Send) -> None:
    send(unseen[COLUMNS], answers(unseen))
    send(None, status=400, error="The column 'Age' is missing.")
    record = mlops.monitor("credit")
    assert record.passed
    assert record.exit_code == 0
    assert drifted(record) == set()
    # Judged is what the model takes, and what it said; neither the target nor an unused column.
    assert [f["name"] for f in record.features] == [*COLUMNS, "prediction"]
    assert record.features[-1]["role"] == "prediction"
    assert record.rows == len(unseen)
    assert record.model == "credit/1"
    assert record.reference_rows == 3118
    requests = len(unseen) + 1
    over_time = record.service["over_time"]
    assert sum(b["requests"] for b in over_time) == requests
    assert sum(b["refused"] for b in over_time) == 1
    assert {k: v for k, v in record.service.items() if k != "over_time"} == {
        "requests": requests,
        "rows": len(unseen),
        "errors": 1,
        "server_errors": 0,
        "error_rate": pytest.approx(1 / requests),
        "latency_ms": {"p50": 5.0, "p95": 5.0, "p99": 5.0},
        "messages": {"The column 'Age' is missing.": 1},
        "refused": {"400 The column 'Age' is missing.": 1},
    }
    assert record.quality == ()
    # Nothing is measured without labels; what is estimated of captured rows says so.
    assert set(record.performance) == {"estimated"}
    assert record.performance["estimated"]["rows"] == len(unseen)
    assert all(f["histogram"]["current"] for f in record.features)


def test_a_shift_is_found_and_the_run_tells(unseen: pd.DataFrame, send: Send) -> None:
    shifted = unseen.assign(Price=unseen["Price"] * 2)
    send(shifted[COLUMNS], answers(unseen))
    record = mlops.monitor("credit")
    assert not record.passed
    assert record.exit_code == 3
    assert drifted(record) == {"Price"}
    # The answers are those to other inputs than were captured, so to ask again tells nothing.
    assert "another version answered then" in record.performance["estimated"]["reason"]
    run = store.runs.get(record.run_id)
    assert run.data.tags["mlops.verb"] == "monitor"
    assert run.data.tags["mlops.deployment"] == "credit"
    assert run.data.tags["mlops.passed"] == "false"
    assert run.data.metrics["drifted"] == 1
    assert run.data.metrics["drift/Price"] > 0.2
    assert store.runs.read_json(record.run_id, "monitoring.json") == json.loads(record.to_json())
    assert "drifted: Price" in mlops.history("credit").events[-1]["summary"]


def test_thresholds_are_goals(unseen: pd.DataFrame, send: Send, project: Path) -> None:
    shifted = unseen.assign(
        Price=unseen["Price"] * 2, Age=unseen["Age"].where(unseen.index % 5 > 0)
    )
    said = answers(unseen)
    send(shifted[COLUMNS], said, latency_ms=30.0)
    send(None, status=500, error="The model failed.")
    wanted = {
        "drift(Age) <= 5": True,
        "drift(Price) <= 0.2": False,
        "drift(*) <= 5": True,
        "prediction_drift <= 0.2": True,
        "missing(Age) <= 10%": False,
        "missing(Price) <= 10%": True,
        "p95_latency <= 20 ms": False,
        "p95_latency <= 0.05 s": True,
        "error_rate <= 1%": True,
        "error_rate <= 0.01%": False,
        "requests >= 1000": True,
        "rows >= 5000": False,
        "roc_auc >= 0.5": False,
    }
    record = mlops.monitor("credit", thresholds="\n".join(wanted))
    assert {g.text: g.passed for g in record.goals} == wanted
    assert "no labels were given" in record.goals[-1].reason
    assert not record.passed
    (project / "watch.txt").write_text("error_rate <= 1%", encoding="utf-8")
    # With thresholds these decide, whatever has drifted.
    assert mlops.monitor("credit", thresholds="watch.txt").passed


def test_wrong_thresholds_are_refused(unseen: pd.DataFrame, send: Send) -> None:
    send(unseen[COLUMNS], answers(unseen))
    with pytest.raises(BadGoal, match="no metric 'drif'"):
        mlops.monitor("credit", thresholds="drif(Age) <= 0.2")
    with pytest.raises(BadGoal, match="`validate` compares models"):
        mlops.monitor("credit", thresholds="p95_latency <= champion")
    with pytest.raises(UnknownName, match="Did you mean 'Price'"):
        mlops.monitor("credit", thresholds="drift(Pric) <= 0.2")


def test_labels_are_joined_by_key_and_coverage_is_said(unseen: pd.DataFrame, send: Send) -> None:
    said = answers(unseen)
    keyed = unseen.assign(customer=np.arange(len(unseen)) + 1000)
    send(keyed[[*COLUMNS, "customer"]], said)
    known = keyed.iloc[:400][["customer", "Status"]]
    late = pd.concat(
        [
            known,
            known.iloc[:10],  # said twice
            known.iloc[10:13].assign(Status="neither"),  # contradicts what was said
            pd.DataFrame({"customer": [1, 2], "Status": ["good", "bad"]}),  # never seen
        ]
    )
    record = mlops.monitor(
        "credit", labels=late, on="customer", thresholds="accuracy >= 0.6\nroc_auc >= 0.6 with 95%"
    )
    rows = [i for i in range(400) if i not in (10, 11, 12)]
    truth = unseen["Status"].iloc[rows]
    performance = record.performance
    assert performance["rows"] == 397
    assert performance["coverage"] == pytest.approx(397 / len(unseen))
    assert performance["metrics"]["accuracy"] == pytest.approx(
        accuracy_score(truth, np.array(said)[rows])
    )
    assert 0.6 < performance["metrics"]["roc_auc"] < 1
    assert record.passed
    assert record.goals[0].interval is not None
    warnings = " ".join(record.warnings)
    assert "3 keys have labels that contradict each other" in warnings
    assert "2 labels belong to no row that was seen" in warnings
    # The key came with the rows and is no feature.
    assert "customer" not in {f["name"] for f in record.features}

    by_request = mlops.monitor("credit", labels=_of_requests(unseen))
    assert by_request.performance["coverage"] == 1.0
    assert by_request.performance["metrics"]["accuracy"] == pytest.approx(
        accuracy_score(unseen["Status"], said)
    )


def _of_requests(unseen: pd.DataFrame) -> pd.DataFrame:
    """Labels by request, as a client keeps them who noted the ids of the answers."""
    from mlops_magics.serving import captured

    rows = captured.features(targets.state.folder("credit") / "capture")
    return pd.DataFrame({"request_id": rows["request_id"], "paid": unseen["Status"]}).sample(
        frac=1, random_state=0
    )


def test_labels_by_the_clients_own_key(unseen: pd.DataFrame, send: Send) -> None:
    part = unseen.head(60)
    said = answers(part)
    send(part[COLUMNS], said, keys=[f"order {i}" for i in range(60)])
    send(part[COLUMNS].head(5), said[:5])  # without a key
    labels = pd.DataFrame({"order": [f"order {i}" for i in range(60)], "paid": part["Status"]})
    expected = pytest.approx(accuracy_score(part["Status"], said))
    for given, on in (
        (labels, "order"),
        (labels.rename(columns={"order": "client_key"}), "client_key"),
        (labels.rename(columns={"order": "client_key"}), ""),
    ):
        record = mlops.monitor("credit", labels=given.sample(frac=1, random_state=0), on=on)
        assert record.performance["rows"] == 60
        assert record.performance["coverage"] == pytest.approx(60 / 65)
        assert record.performance["metrics"]["accuracy"] == expected
    assert "client_key" not in {f["name"] for f in record.features}


def test_labels_of_the_rows_of_a_request(unseen: pd.DataFrame, send: Send) -> None:
    part = unseen.head(60)
    said = answers(part)
    send(part[COLUMNS], said, rows_a_request=20, keys=["a", "b", "c"])
    labels = pd.DataFrame(
        {
            "batch": [key for key in "abc" for _ in range(20)],
            "request_row": [*range(20)] * 3,
            "paid": part["Status"],
        }
    ).sample(frac=1, random_state=0)
    record = mlops.monitor("credit", labels=labels, on="batch")
    assert record.performance["rows"] == 60
    assert record.performance["metrics"]["accuracy"] == pytest.approx(
        accuracy_score(part["Status"], said)
    )
    with pytest.raises(BadData, match=r"so a client_key names no single row.*request_row"):
        mlops.monitor("credit", labels=labels.drop(columns="request_row"), on="batch")


def test_what_is_masked_is_not_judged(unseen: pd.DataFrame, send: Send) -> None:
    send(unseen[COLUMNS], answers(unseen), rules=Rules(mask=("Price",)))
    labels = _of_requests(unseen)
    thresholds = "drift(Price) <= 0.2\nmissing(Price) <= 10%\ndrift(Age) <= 0.2"
    record = mlops.monitor("credit", labels=labels, thresholds=thresholds)
    price = next(f for f in record.features if f["name"] == "Price")
    assert (price["drifted"], price["level"]) == (False, "not judged")
    assert price["reason"] == "Its values are masked in what was captured."
    assert not any("Price" in finding for finding in record.quality)
    assert [g.passed for g in record.goals] == [False, False, True]
    assert all("masked in what was captured" in g.reason for g in record.goals[:2])
    warnings = " ".join(record.warnings)
    assert "Masked in what was captured, and not judged: Price." in warnings
    assert "Probabilities can't be had: Price was not kept." in warnings
    assert "accuracy" in record.performance["metrics"]


def test_a_sample_stands_for_all_requests(unseen: pd.DataFrame, send: Send) -> None:
    frame = pd.concat([unseen[COLUMNS]] * 2, ignore_index=True)
    send(frame, answers(frame), rules=Rules(sample=0.25))
    send(None, status=500, error="x", rules=Rules(sample=0.25))
    record = mlops.monitor("credit")
    count = len(frame) + 1
    assert (record.service["requests"], record.service["rows"]) == (count, len(frame))
    assert record.service["errors"] == 1
    assert record.service["error_rate"] == pytest.approx(1 / count)
    assert record.service["kept"] == record.rows + 1
    assert 0.15 * count < record.rows < 0.35 * count
    assert f"Of {count:,} requests" in record.warnings[0]


def test_labels_that_cannot_be_joined_say_what_is_needed(unseen: pd.DataFrame, send: Send) -> None:
    send(unseen[COLUMNS].head(60), answers(unseen.head(60)), rows_a_request=20)
    with pytest.raises(WrongUsage, match="which label is of which row"):
        mlops.monitor("credit", labels=unseen[["Status"]].head(60))
    with pytest.raises(UnknownName, match=r"Did you mean 'Price'.*what was seen"):
        mlops.monitor("credit", labels=unseen.rename(columns={"Age": "Prices"}), on="Prices")
    with pytest.raises(UnknownName, match="the labels"):
        mlops.monitor("credit", labels=unseen[["Status"]], on="customer")
    keys = pd.DataFrame({"request_id": ["r1"], "Status": ["bad"]})
    with pytest.raises(BadData, match="several rows at once"):
        mlops.monitor("credit", labels=keys)
    strange = pd.DataFrame({"client_id": ["nobody"], "Status": ["bad"]})
    record = mlops.monitor("credit", labels=strange, on="client_id", thresholds="accuracy >= 0")
    assert record.performance["reason"] == "no label belongs to a row that was seen"
    assert not record.passed
    assert "no label belongs" in record.goals[0].reason


def test_only_the_window_of_time_counts(unseen: pd.DataFrame, send: Send) -> None:
    send(unseen[COLUMNS].head(50), answers(unseen.head(50)), age=timedelta(days=10))
    send(unseen[COLUMNS].head(40), answers(unseen.head(40)), age=timedelta(hours=2))
    assert mlops.monitor("credit").rows == 40
    assert mlops.monitor("credit", since="2w").rows == 90
    assert mlops.monitor("credit", since="30m").rows == 0
    day = (datetime.now(UTC) - timedelta(days=20)).date().isoformat()
    record = mlops.monitor("credit", since=day)
    assert record.rows == 90
    assert record.since.startswith(day)
    assert mlops.monitor("credit", since="").rows == 90


@pytest.mark.parametrize("since", ["soon", "7 days", "2999-01-01", "d7"])
def test_a_time_that_cannot_be_is_refused(since: str) -> None:
    with pytest.raises(WrongUsage):
        observing.beginning(since)


def test_no_traffic_and_three_rows_are_clear(unseen: pd.DataFrame, send: Send) -> None:
    other = unseen.assign(Price=unseen["Price"] * 2)
    assert "prediction" in drifted(mlops.monitor("credit", data=other))
    send(None, status=400, error="x", age=timedelta(days=30))
    record = mlops.monitor("credit")
    assert (record.passed, record.rows) == (True, 0)
    assert drifted(record) == set()
    assert "No request came to 'credit' in this time" in record.warnings[0]
    assert record.service["error_rate"] is None
    thresholds = "drift(*) <= 0.2\nerror_rate <= 1%\np95_latency <= 1 s\naccuracy >= 0.5"
    failed = mlops.monitor("credit", thresholds=thresholds)
    assert not any(g.passed for g in failed.goals)
    assert all(g.reason.startswith("Not measured: ") for g in failed.goals)

    send(unseen[COLUMNS].head(3), answers(unseen.head(3)))
    few = mlops.monitor("credit", thresholds="drift(*) <= 0.2")
    assert few.rows == 3
    assert {f["level"] for f in few.features} == {"not judged"}
    assert "3 rows are too few to judge drift" in " ".join(few.warnings)
    assert not few.passed
    assert "3 rows are too few to judge" in few.goals[0].reason


def test_a_deployment_that_keeps_nothing_says_so(data: Dataset, send: Send) -> None:
    send(None, status=200)
    kept = targets.state.find("credit")
    for capture, says in (("", "capture is off"), ("nowhere.db", "has captured nothing yet")):
        targets.state.save(
            Deployment(
                **{
                    **{f: getattr(kept, f) for f in ("name", "model", "target", "url")},
                    "status": "stopped",
                    "capture": capture,
                }
            )
        )
        record = mlops.monitor("credit")
        assert says in record.warnings[0]
        assert record.service["requests"] == 0


def test_a_capture_that_is_none_is_refused(data: Dataset, send: Send) -> None:
    send(None, status=200)
    place = Path(targets.state.find("credit").capture)
    place.with_suffix(".db").write_bytes(b"no database at all, but long enough")
    with pytest.raises(BadData, match="can't be read as a capture"):
        mlops.monitor("credit")


def test_a_capture_is_read_while_it_is_written(unseen: pd.DataFrame, send: Send) -> None:
    send(unseen[COLUMNS].head(40), answers(unseen.head(40)))
    place = Path(targets.state.find("credit").capture)
    server = Capture(place, "credit/1")  # it holds the journal's lock
    server.start()
    try:
        assert mlops.monitor("credit").rows == 40
    finally:
        server.close()
    journal = next(place.glob("*.journal"))
    whole = journal.read_bytes()
    journal.write_bytes(whole + whole[-300:-80])  # half of what comes next
    assert mlops.monitor("credit").rows == 40


def test_a_capture_that_is_damaged_says_what_it_costs(unseen: pd.DataFrame, send: Send) -> None:
    for at in (0, 40):
        part = unseen[COLUMNS].iloc[at : at + 40]
        send(part, answers(unseen.iloc[at : at + 40]))
    (journal,) = Path(targets.state.find("credit").capture).glob("*.journal")
    content = bytearray(journal.read_bytes())
    content[-20] ^= 255
    journal.write_bytes(content)
    record = mlops.monitor("credit")
    assert record.rows == 40
    (warning,) = [w for w in record.warnings if "damaged" in w]
    assert journal.name in warning
    assert "bytes can't be read" in warning
    # Cut off in its middle: a server was killed while it wrote, and all before that counts.
    journal.write_bytes(content[: len(content) * 3 // 4])
    assert mlops.monitor("credit").rows == 40


def test_a_capture_that_is_locked_is_one_sentence(
    data: Dataset, send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(None, status=200)
    file = Path(targets.state.find("credit").capture).with_suffix(".db")
    monkeypatch.setattr(captured_parts, "PATIENCE", 0.05)
    with closing(sqlite3.connect(file, isolation_level=None)) as database:
        database.execute("CREATE TABLE requests (time)")
        database.execute("BEGIN EXCLUSIVE")
        with pytest.raises(BadData, match="can't be read as a capture: database is locked"):
            mlops.monitor("credit")


def test_given_rows_need_no_deployment(unseen: pd.DataFrame, project: Path) -> None:
    shifted = unseen.assign(Age=unseen["Age"] + 30)
    shifted.to_csv(project / "new.csv", index=False)
    record = mlops.monitor("credit", data="new.csv", thresholds="accuracy >= 0.5 by Home\nf1 >= 0")
    assert "Age" in drifted(record)
    assert record.service == {}
    # The truth stands among the rows, so it is measured too.
    assert record.performance["coverage"] == 1.0
    assert record.performance["metrics"]["accuracy"] == pytest.approx(
        accuracy_score(unseen["Status"], answers(shifted))
    )
    assert "too small" in record.goals[0].reason
    assert record.goals[1].passed

    labels = unseen["Status"].where(unseen.index % 2 == 0)
    half = mlops.monitor("credit/1", data=unseen[COLUMNS], labels=labels)
    assert half.performance["rows"] == int(labels.notna().sum())
    path = store.versions.local_path(store.versions.resolve("credit/1"))
    from mlops_magics import flavors

    scores = flavors.load(path).predict_proba(unseen[COLUMNS])
    assert scores is not None
    even = labels.notna()
    assert half.performance["metrics"]["roc_auc"] == pytest.approx(
        roc_auc_score(unseen["Status"][even] == "bad", scores[even.to_numpy(), 0])
    )


def test_a_large_file_is_read_in_parts(
    unseen: pd.DataFrame, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = pd.concat([unseen.assign(Price=unseen["Price"] * 1.6)] * 3, ignore_index=True)
    many.to_parquet("many.parquet", row_group_size=100)
    whole = mlops.monitor("credit", data="many.parquet")
    monkeypatch.setattr(large, "LARGE", len(many) - 1)
    monkeypatch.setattr(large, "SAMPLE", len(unseen))
    record = mlops.monitor("credit", data=str(project / "many.parquet"))
    assert (record.rows, record.passed) == (len(many), whole.passed) == (3 * len(unseen), False)
    of_all, of_parts = (
        {f["name"]: f for f in r.features if f.get("role") != "prediction"} for r in (whole, record)
    )
    assert set(of_parts) == set(of_all)
    for name, found in of_parts.items():
        assert found["drift"] == pytest.approx(of_all[name]["drift"], rel=1e-9), name
        assert found["reason"] == of_all[name]["reason"]
    assert record.quality == whole.quality
    (warning,) = [w for w in record.warnings if "evenly spread" in w]
    assert f"all {len(many):,} rows" in warning
    # Each third row of three copies: what is measured is of as many rows, and about the same.
    assert record.performance["rows"] == len(unseen)
    assert record.performance["metrics"]["accuracy"] == pytest.approx(
        whole.performance["metrics"]["accuracy"], abs=0.05
    )


def test_exact_figures_are_of_the_training_rows(
    unseen: pd.DataFrame, data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = mlops.monitor("credit", data=unseen, exact=True)
    by_name = {f["name"]: f for f in record.features}
    trained = store.datasets.frames(data)[0]
    for name in COLUMNS:
        theirs = stats.ks_2samp(trained[name], unseen[name], method="asymp")
        assert by_name[name]["ks"] == pytest.approx(theirs.statistic, abs=1e-12)
        assert by_name[name]["exact"]
    assert "exact" not in mlops.monitor("credit", data=unseen).features[0]
    unseen.to_parquet("many.parquet")
    monkeypatch.setattr(large, "LARGE", 10)
    with pytest.raises(WrongUsage, match=r"Exact figures need all rows in memory"):
        mlops.monitor("credit", data="many.parquet", exact=True)


def test_a_large_file_that_is_none_is_said(data: Dataset, project: Path) -> None:
    (project / "broken.parquet").write_bytes(b"PAR1 and nothing else")
    with pytest.raises(BadData, match=r"broken\.parquet"):
        mlops.monitor("credit", data="broken.parquet")


def test_rows_the_model_cannot_take_are_still_looked_at(unseen: pd.DataFrame) -> None:
    damaged = unseen.drop(columns="Price").assign(Age="old", Time=np.nan)
    record = mlops.monitor("credit", data=damaged)
    assert not record.passed
    assert drifted(record) == {"Price", "Age", "Time"}
    assert "can't answer this data" in " ".join(record.warnings)
    assert "Age holds text" in " ".join(record.quality)
    assert record.performance["reason"] == "the model's answers are not known"


def test_what_cannot_be_compared_is_said(names: dict[str, Any]) -> None:
    with mlops.train("plain", data=(names["X_test"], names["y_test"])):
        model = names["fresh"]().fit(names["X_train"], names["y_train"])  # noqa: F841
    record = mlops.monitor("plain", data=names["X_test"], thresholds="drift(Age) <= 0.2")
    warnings = " ".join(record.warnings)
    assert "drift can't be judged" in warnings
    assert "was not validated" in warnings
    assert not record.passed


def test_names_that_do_not_exist_are_answered(data: Dataset, send: Send) -> None:
    with pytest.raises(UnknownName, match="with --data DATA none is needed"):
        mlops.monitor("credit")
    with pytest.raises(UnknownName, match="no model 'credti'"):
        mlops.monitor("credti", data=data)
    send(None, status=200, name="scoring")
    assert mlops.monitor("credit").service["requests"] == 1  # the one that serves the model
    assert mlops.monitor(targets.state.find("scoring")).deployment == "scoring"  # type: ignore[arg-type]


def test_keys_are_joined_by_what_they_mean() -> None:
    frame = pd.DataFrame({"key": ["7", "8", None, "9"]})
    labels = pd.DataFrame({"key": [7.0, np.nan, 9.0], "truth": ["a", "b", "c"]})
    found = labelling.join(frame, labels, "key", "")
    assert found.truth.to_dict() == {0: "a", 3: "c"}
    assert found.coverage == 0.5


@pytest.fixture
def deployed(data: Dataset) -> Iterator[Deployment]:
    deployment = mlops.deploy("credit/1")
    yield deployment
    mlops.undeploy("credit")


def test_a_real_server_is_monitored(deployed: Deployment, unseen: pd.DataFrame) -> None:
    for at in range(0, 200, 40):
        mlops.predict("credit", unseen[COLUMNS].iloc[at : at + 40])
    with pytest.raises(BadData):
        mlops.predict("credit", unseen[["Age"]].head(1))
    for _ in range(50):  # the capture is written within a second
        record = mlops.monitor("credit", since="1h")
        if record.service["requests"] >= 6:
            break
        time.sleep(0.1)
    assert record.rows == 200
    assert record.service["errors"] == 1
    assert record.service["latency_ms"]["p95"] > 0
    assert record.passed
    prediction = record.features[-1]
    assert (prediction["role"], prediction["drifted"]) == ("prediction", False)
