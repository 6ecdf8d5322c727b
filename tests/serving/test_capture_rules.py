"""What is kept of requests: all forms as they were sent, a share, without what is masked."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from starlette.testclient import TestClient

from mlops_magics import flavors, settings
from mlops_magics.errors import WrongUsage
from mlops_magics.serving import capture_compaction, capture_inputs, captured
from mlops_magics.serving.app import Server
from mlops_magics.serving.capture import Capture
from mlops_magics.serving.capture_rules import SMOKE_TEST, UNSAID, Rules
from mlops_magics.serving.options import arguments
from mlops_magics.serving.service import Service
from tests.serving import models
from tests.serving.captures import end, keep, one, until

#: A number and a word that stand nowhere else in a request.
NUMBER, WORD = 2_718_281, "zebra"

Served = Callable[..., tuple[TestClient, Path]]


@pytest.fixture
def served(model: Path, tmp_path: Path) -> Iterator[Served]:
    """Servers that capture by rules."""
    opened = []

    def serve(**rules: Any) -> tuple[TestClient, Path]:
        kept = Capture(tmp_path / "capture", "credit/1", Rules(**rules))
        client = TestClient(Server(Service(flavors.load(model)), {"model": "credit/1"}, kept).app())
        opened.append(client.__enter__())
        return opened[-1], tmp_path / "capture"

    yield serve
    for client in opened:
        client.__exit__(None, None, None)


def requests(rows: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The same rows in every form that is known, as path and what httpx is to send."""
    frame = pd.DataFrame(rows)
    names = list(frame.columns)
    table: dict[str, Any] = {"columns": names, "data": [[row[n] for n in names] for row in rows]}
    columns = {n: [row[n] for row in rows] for n in names}
    shuffled = {"columns": names[::-1], "data": [row[::-1] for row in table["data"]]}
    more = [{**row, "shoe_size": 43, "__proto__": None} for row in rows]
    for body in (
        {"dataframe_split": table},
        {"dataframe_split": {**shuffled, "index": list(range(len(rows)))}},
        {"dataframe_records": rows},
        {"dataframe_records": more},
        {"instances": rows},
        {"inputs": rows},
        {"inputs": columns},
    ):
        yield "/invocations", {"json": body}
        pretty = f"  {json.dumps(body, indent=2)}\n"
        yield (
            "/invocations",
            {
                "content": pretty,
                "headers": {"content-type": "application/json; charset=utf-8"},
            },
        )
    csv = {"content": frame.to_csv(index=False), "headers": {"content-type": "text/csv"}}
    yield "/invocations", csv
    kinds = {"i": "INT64", "f": "FP64"}
    tensors = [
        {
            "name": n,
            "shape": [len(rows)],
            "datatype": kinds.get(frame[n].dtype.kind, "BYTES"),
            "data": columns[n],
        }
        for n in names
    ]
    yield "/v2/models/credit/infer", {"json": {"inputs": tensors}}


def test_every_form_is_read_back_without_the_model(served: Served, model: Path) -> None:
    client, place = served()
    rows = models.rows(model)
    expected = pd.DataFrame(rows)
    sent = []
    for number, (path, what) in enumerate(requests(rows)):
        headers = {**what.pop("headers", {}), "x-mlops-key": f"k{number}"}
        sent.append(client.post(path, headers=headers, **what))
    assert [answer.status_code for answer in sent] == [200] * len(sent)
    until(lambda: len(captured.read(place)) == len(sent))
    found = captured.features(place)
    assert len(found) == len(rows) * len(sent)
    for number, answer in enumerate(sent):
        part = found[found["request_id"] == answer.headers["x-request-id"]].reset_index(drop=True)
        pd.testing.assert_frame_equal(part[list(expected)], expected, check_dtype=False)
        assert part["client_key"].unique().tolist() == [f"k{number}"]
        assert part["request_row"].tolist() == list(range(len(rows)))
        assert len(part["prediction"].dropna()) == len(rows)
    assert "shoe_size" not in found
    kept = place.rename(place.with_name("stopped"))  # its server goes on in a new one
    end(kept)
    assert capture_compaction.compact(kept) == 0  # as that server still has the journal
    copy = place.with_name("copy")
    shutil.copytree(kept, copy)
    assert capture_compaction.compact(copy) == 1
    assert captured.features(copy).equals(found)


def test_a_value_for_every_row_and_a_column_by_itself() -> None:
    body = b'{"inputs": {"a": 1, "b": [2, 3], "c": null}}'
    assert capture_inputs.sent(body, ("b", "a")) == {"b": [2, 3], "a": [1, 1]}
    assert capture_inputs.sent(b'{"inputs": {"a": 1}}', ("a",)) == {"a": [1]}
    assert capture_inputs.sent(b'{"instances": [4, 5]}', ("a",)) == {"a": [4, 5]}
    one = b'{"dataframe_split": {"columns": ["a"], "data": [6, [7]]}}'
    assert capture_inputs.sent(one, ("a",)) == {"a": [6, 7]}
    some = b'{"dataframe_records": [{"a": 1}, {"b": 2}]}'
    assert capture_inputs.sent(some, ("a", "b")) == {"a": [1, None], "b": [None, 2]}


def test_what_is_masked_never_reaches_the_disk(served: Served, model: Path) -> None:
    client, place = served(mask=("Income", "Home"))
    rows = [{**row, "Income": NUMBER, "Home": WORD} for row in models.rows(model)]
    sent = [client.post(path, **what) for path, what in requests(rows)]
    wrong = {**rows[0], "Income": f"{WORD}{NUMBER}"}
    sent.append(client.post("/invocations", json={"dataframe_records": [wrong]}))
    assert sent[-1].status_code == 400
    assert WORD in sent[-1].text
    until(lambda: len(captured.read(place)) == len(sent))
    for file in place.iterdir():
        content = file.read_bytes()
        assert str(NUMBER).encode() not in content
        assert WORD.encode() not in content
    seen = captured.look(place)
    assert seen.masked == ("Home", "Income")
    assert not {"Income", "Home"} & set(seen.rows)
    assert seen.rows["Age"].tolist() == [row["Age"] for row in rows] * (len(sent) - 1)
    assert seen.requests["error"].iloc[-1] == UNSAID
    assert client.get("/metadata").json()["capture"]["masked"] == ["Income", "Home"]


def test_a_mask_that_masks_nothing_is_said(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    served(mask=("Incom",))
    assert "Nothing to mask: credit/1 has no column Incom." in caplog.text


def test_a_share_is_kept_and_all_are_counted(tmp_path: Path) -> None:
    place = tmp_path / "capture"
    sent = [one(request_id=f"{i:032x}", rows=2) for i in range(4000)]
    sent += [one(status=503, error="busy", columns=None) for _ in range(50)]
    sent += [one(client_id=SMOKE_TEST)]
    made = keep(place, sent, sample=0.1)
    seen = captured.look(place)
    answered = seen.requests[seen.requests["status"] == 200]
    assert 300 < len(answered) < 500
    assert len(seen.requests) - len(answered) == 50
    assert seen.left_out == 4000 - len(answered) == made.state()["left_out"]
    assert seen.left_rows == 2 * seen.left_out
    end(place)
    assert captured.compact(place) == 1
    compacted = captured.look(place)
    assert (compacted.left_out, compacted.left_rows) == (seen.left_out, seen.left_rows)
    assert compacted.requests.equals(seen.requests)


def test_a_key_is_always_kept_or_never(tmp_path: Path) -> None:
    place = tmp_path / "capture"
    keep(place, [one(client_key=f"k{i % 50}") for i in range(500)], sample=0.5)
    counts = captured.read(place)["client_key"].value_counts()
    assert 10 < len(counts) < 40
    assert set(counts) == {10}


def test_settings_become_arguments_and_rules_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLOPS_CAPTURE_MASK", "Income, Pay per hour")
    text = "capture_sample = 0.25\ncapture_keep_mb = 500\ncapture_keep_days = 30.5\n"
    (tmp_path / "mlops.toml").write_text(text)
    rules = Rules.of(settings.load(tmp_path))
    assert rules.mask == ("Income", "Pay per hour")
    given = arguments().parse_intermixed_args([".", "--capture", "x", *rules.arguments()])
    assert Rules.given(given) == rules
    assert Rules().arguments() == []  # which servers of former versions know


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("capture_sample = 1.5", "from 0 to 1"),
        ("capture_keep_mb = -1", "a number from 0"),
        ("capture_mask = [1]", "a list of names"),
        ("capture_mask = true", "a list of names"),
    ],
)
def test_settings_that_can_not_be(tmp_path: Path, line: str, says: str) -> None:
    (tmp_path / "mlops.toml").write_text(line)
    with pytest.raises(WrongUsage, match=says):
        settings.load(tmp_path)


@pytest.mark.parametrize("given", ["--capture-sample=2", "--capture-keep-mb=inf"])
def test_arguments_that_can_not_be(given: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        arguments().parse_intermixed_args([".", given])
    assert given.partition("=")[0] in capsys.readouterr().err
