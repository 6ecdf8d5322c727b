"""Journals, their compaction and removal: each request is there exactly once, whatever happens."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mlops_magics.errors import BadData
from mlops_magics.serving import capture_compaction, capture_folder, captured
from mlops_magics.serving import capture_journal as journal
from mlops_magics.serving.capture import Capture
from mlops_magics.serving.capture_rules import Rules
from tests.serving.captures import end, keep, one, until

FORMER = """
CREATE TABLE requests (request_id TEXT, time INTEGER, status INTEGER, latency_ms REAL,
    client_id TEXT, model TEXT, rows INTEGER, error TEXT, inputs TEXT, outputs TEXT)
"""


def ids(path: Path) -> list[str]:
    found: list[str] = captured.read(path)["request_id"].tolist()
    return found


def only(folder: Path) -> Path:
    (file,) = folder.iterdir()
    return file


def test_a_server_goes_on_with_the_journal_that_the_last_one_left(tmp_path: Path) -> None:
    place = tmp_path / "capture"
    keep(place, [one(request_id="a")])
    with only(place).open("ab") as stream:  # killed in the middle of a frame
        stream.write(journal.frame(journal.REQUESTS, b"x" * 1000, 1, 1)[:500])
    assert ids(place) == ["a"]
    keep(place, [one(request_id="b")])
    assert ids(place) == ["a", "b"]
    only(place)


def test_what_is_damaged_costs_itself_and_no_more(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place = tmp_path / "capture"
    for name in ("a", "b", "c"):
        keep(place, [one(request_id=name)])
    content = bytearray(only(place).read_bytes())
    content[content.index(b"b{") if b"b{" in content else content.index(b"b[1]")] ^= 1
    only(place).write_bytes(content)
    assert ids(place) == ["a", "c"]
    assert "is damaged: bytes" in caplog.text
    garbage = bytes(content) + b"\0" * 4096
    only(place).write_bytes(garbage)  # as a machine without power may leave it
    assert ids(place) == ["a", "c"]
    keep(place, [one(request_id="d")])
    assert ids(place) == ["a", "c", "d"]
    assert garbage in {file.read_bytes() for file in place.iterdir()}  # for whoever can repair it


def test_a_folder_that_was_removed_is_made_again(tmp_path: Path) -> None:
    place = tmp_path / "capture"
    writer = Capture(place, "credit/1")
    writer.start()
    writer.put(one())
    until(lambda: writer.written == 1)
    only(place).unlink()
    place.rmdir()
    writer.put(one(request_id="later"))
    until(lambda: writer.written == 2)
    assert ids(place) == ["later"]
    writer.close()


def test_each_request_is_there_once_while_all_is_rotated_compacted_and_read(tmp_path: Path) -> None:
    place = tmp_path / "capture"
    # Of 100 KB each; what is kept at all is ten times as much, so that nothing is removed.
    writers = [Capture(place, f"credit/{n}", Rules(keep_mb=1)) for n in (1, 2)]
    done = threading.Event()
    problems: list[str] = []

    def compact() -> None:
        while not done.is_set():
            capture_compaction.compact(place)

    def read() -> None:
        before = 0
        while not done.is_set():
            found = ids(place)
            if len(set(found)) < len(found) or len(found) < before:
                problems.append(f"{len(found)} requests, {len(set(found))} of them different")
            before = len(found)

    threads = [threading.Thread(target=f) for f in (compact, read)]
    for writer in writers:
        writer.start()
    until(place.is_dir)
    for thread in threads:
        thread.start()
    try:
        put = [f"{n}-{i}" for i in range(4000) for n in range(2)]
        for name in put:
            writers[name.startswith("1")].put(one(request_id=name, columns={"x": [1]}))
            while writers[0].waiting > 2000:
                time.sleep(0.01)
    finally:
        for writer in writers:
            writer.close(30)
        done.set()
        for thread in threads:
            thread.join(60)
    assert problems == []
    assert {w.dropped for w in writers} == {0}
    assert sorted(ids(place)) == sorted(put)
    capture_compaction.compact(place)
    suffixes = [file.suffix for file in place.iterdir()]
    assert suffixes.count(".parquet") >= 4
    assert suffixes.count(".journal") <= 2  # those that are not full
    seen = captured.look(place)
    assert sorted(seen.requests["request_id"]) == sorted(put)
    assert seen.rows["x"].tolist() == [1] * len(put)


def full(place: Path, count: int) -> list[str]:
    """A journal of so many requests that nobody writes any more."""
    names = [f"q{i}" for i in range(count)]
    now = time.time_ns() // 1000
    keep(
        place,
        (one(request_id=n, time=now + i, rows=2, columns={"x": [i, None], "word": ["ä", "b"]},
             outputs='["good", "bad"]', client_key=f"k{i}") for i, n in enumerate(names)),
    )  # fmt: skip
    end(place)
    return names


def test_nothing_changes_by_compaction_but_the_size(tmp_path: Path) -> None:
    place = tmp_path / "capture"
    full(place, 3000)
    keep(place, [one(status=400, error="Bad: ü", columns=None, outputs="", rows=0)])
    before, size = captured.look(place), sum(f.stat().st_size for f in place.iterdir())
    assert captured.compact(place) == 1
    assert captured.compact(place) == 0
    after = captured.look(place)
    for was, now in ((before.requests, after.requests), (before.rows, after.rows)):
        assert was.equals(now)
    assert sum(f.stat().st_size for f in place.iterdir()) < size / 4
    late = before.requests["time"].iloc[2500]
    assert len(captured.read(place, late)) == 501
    assert captured.features(place, late)["x"].tolist()[::2] == list(range(2500, 3000))


@pytest.mark.parametrize("delay", [0.0, 0.6, 0.9, 1.2])
def test_a_compaction_that_is_killed_loses_and_doubles_nothing(
    tmp_path: Path, delay: float
) -> None:
    place = tmp_path / "capture"
    names = full(place, 20_000)
    command = [sys.executable, "-m", "mlops_magics.serving.capture_compaction", str(place)]
    process = subprocess.Popen(command)
    time.sleep(delay)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert ids(place) == names
    assert captured.compact(place) <= 1
    assert ids(place) == names
    assert [f.suffix for f in place.iterdir()] == [".parquet"]


def test_killed_between_its_last_two_steps(tmp_path: Path) -> None:
    place = tmp_path / "capture"
    names = full(place, 50)
    (file,) = capture_folder.journals(place)
    content = file.read_bytes()
    captured.compact(place)
    file.write_bytes(content)  # the Parquet is whole, and the journal not yet removed
    assert ids(place) == names
    assert captured.compact(place) == 1
    assert not file.exists()
    assert ids(place) == names


def test_a_server_compacts_what_is_full(tmp_path: Path) -> None:
    place = tmp_path / "capture"
    writer = Capture(place, "credit/1", Rules(keep_mb=1))
    writer.start()
    for _ in range(1500):
        writer.put(one(outputs='["' + "x" * 50 + '"]'))
    until(lambda: any(place.glob("*.parquet")))  # the folder too comes in its time
    writer.close(30)
    assert len(set(ids(place))) == 1500


def test_a_journal_at_work_is_compacted_by_nobody(tmp_path: Path) -> None:
    place = tmp_path / "capture"
    writer = Capture(place, "credit/1")
    writer.start()
    writer.put(one())
    until(lambda: writer.written == 1)
    old = time.time() - 10 * 86_400
    os.utime(only(place), (old, old))
    assert captured.compact(place) == 0
    assert capture_folder.prune(place, 0.000001, 1) == 0
    writer.close()
    assert captured.compact(place) == 1


def test_the_oldest_go_when_it_is_too_much(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place = tmp_path / "capture"
    drawn = random.Random(0)  # what can be pressed might fit
    texts = (drawn.randbytes(600).hex() for _ in range(4000))
    requests = [one(request_id=f"n{i}", outputs=f'["{text}"]') for i, text in enumerate(texts)]
    made = keep(place, requests, keep_mb=2)
    capture_folder.prune(place, 2, 0)
    found = ids(place)
    assert sum(f.stat().st_size for f in place.iterdir()) <= 2e6
    assert 0 < len(found) < 4000
    assert found == [f"n{i}" for i in range(4000 - len(found), 4000)]
    assert made.state()["removed"] > 0
    assert "oldest files of the capture" in caplog.text


def test_the_oldest_go_when_they_are_too_old(tmp_path: Path) -> None:
    place = tmp_path / "capture"
    full(place, 10)
    capture_compaction.compact(place)
    old = time.time() - 3 * 86_400
    os.utime(only(place), (old, old))
    keep(place, [one(request_id="new")], keep_days=5)
    assert len(ids(place)) == 11
    keep(place, [], keep_days=2)
    assert ids(place) == ["new"]


def former(file: Path, *times: datetime) -> None:
    """What a server of a former version wrote."""
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute(FORMER)
        for number, moment in enumerate(times):
            row = (f"old{number}", int(moment.timestamp() * 1e6), 200, 2.0, "me", "credit/1", 1,
                   "", '{"x": [1.5]}', '["good"]')  # fmt: skip
            database.execute(f"INSERT INTO requests VALUES ({','.join('?' * 10)})", row)


@pytest.mark.parametrize("name", ["capture", "capture.db"])
def test_what_former_versions_wrote_is_still_there(tmp_path: Path, name: str) -> None:
    now = datetime.now(UTC)
    former(tmp_path / "capture.db", now - timedelta(days=2), now + timedelta(hours=1))
    keep(tmp_path / name, [one(request_id="new")])
    assert ids(tmp_path / name) == ["old0", "new", "old1"]
    rows = captured.features(tmp_path / name, now - timedelta(days=1))
    assert rows["request_id"].tolist() == ["new", "old1"]
    assert rows["x"].tolist() == [1.0, 1.5]
    assert rows["client_key"].tolist() == ["", ""]
    captured.compact(tmp_path / name)
    assert (tmp_path / "capture.db").is_file()


def test_a_file_in_the_folder_that_is_none_of_ours(tmp_path: Path) -> None:
    place = tmp_path / "capture"
    keep(place, [one()])
    (place / "0-0-0.parquet").write_bytes(b"PAR1 or not")
    with pytest.raises(BadData, match=r"0-0-0\.parquet can't be read as a capture"):
        captured.read(place)
