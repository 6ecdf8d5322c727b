"""A canary or a shadow beside a deployed version, and what becomes of one that is no good."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from mlops_magics.errors import StepFailed
from mlops_magics.records import Deployment, Package
from mlops_magics.serving import captured, client, manifest
from mlops_magics.targets import state
from mlops_magics.targets.base import Split
from mlops_magics.targets.local import LocalTarget
from mlops_magics.targets.plans import Goal
from tests.targets.loads import Load, until

target = LocalTarget()
LATENCY = Goal("p95_latency <= champion + 50 ms", "p95_ms", 50.0, relative=True)
ERRORS = Goal("error_rate <= 10%", "error_rate", 0.1)


@pytest.fixture
def first(package: Package, tmp_path: Path) -> Iterator[Deployment]:
    deployment = target.deploy(package, name="credit", capture=tmp_path / "capture.db")
    state.save(deployment)
    yield deployment
    # Whatever was beside it, the deployed one never stopped.
    assert target.status(deployment).details["restarts"] == 0


@pytest.fixture
def ask(package: Package) -> Iterator[Callable[..., httpx.Response]]:
    body = manifest.example(Path(package.path))
    with httpx.Client(headers={"content-type": "application/json"}, timeout=20) as asking:

        def ask(deployment: Deployment, **headers: str) -> httpx.Response:
            sent = {name.replace("_", "-"): value for name, value in headers.items()}
            reply = asking.post(f"{deployment.url}/invocations", content=body, headers=sent)
            assert reply.status_code == 200, reply.text
            return reply

        yield ask


def answers(package: Package) -> Any:
    return manifest.answers(Path(package.path))


def split(deployment: Deployment, package: Package, kind: str, **options: Any) -> Deployment:
    share = {"share": 0.5} if kind == "canary" else {}
    found = target.split(deployment, package, Split(kind=kind, **{**share, **options}))
    state.save(found)
    return found


def now() -> dict[str, Any]:
    return dict(state.find("credit").canary)


def test_a_canary_answers_its_share(
    first: Deployment, package: Package, second: Package, ask: Callable[..., httpx.Response]
) -> None:
    beside = split(first, second, "canary", goals=(ERRORS, LATENCY))
    assert (beside.canary["model"], beside.canary["kind"]) == ("credit/2", "canary")
    until(lambda: ask(first).json() == answers(second))
    # Who says who they are get the same answer each time, by this key or the other.
    for header in ("x_client_id", "x_mlops_key"):
        found = {k: [ask(first, **{header: f"k{k}"}).json() for _ in range(3)] for k in range(40)}
        assert all(one == other for one, other, _ in found.values())
        shares = [row[0] == answers(second) for row in found.values()]
        assert 8 <= sum(shares) <= 32
    until(lambda: now()["other"].get("requests", 0) >= 20 and now()["stable"]["p95_ms"])
    seen = now()
    assert (seen["status"], seen["other"]["errors"]) == ("on", 0)
    assert set(seen["other"]["predictions"]["shares"]) <= {"good", "bad"}
    client.settle(first.url)
    until(lambda: set(captured.read(Path(first.capture))["model"]) == {"credit/1", "credit/2"})

    # Ended, it is gone at once, and nothing was started anew.
    alone = target.unsplit(state.find("credit"))
    state.save(alone)
    assert alone.canary == {}
    until(lambda: all(ask(first).json() == answers(package) for _ in range(10)))
    assert state.find("credit").pid == first.pid


def test_a_canary_that_takes_over(
    first: Deployment, package: Package, second: Package, ask: Callable[..., httpx.Response]
) -> None:
    split(first, second, "canary")
    with Load(first.url, manifest.example(Path(package.path)), clients=4) as load:
        whole = target.deploy(second, name="credit", capture=Path(first.capture))
        state.save(whole)
        until(lambda: all(a == answers(second) for a in load.answers()[-100:]))
    assert not load.errors
    assert {reply.status_code for _, reply in load.replies} == {200}
    assert (whole.url, state.find("credit").canary) == (first.url, {})


def test_a_shadow_answers_nobody_and_is_compared(
    first: Deployment, package: Package, second: Package, ask: Callable[..., httpx.Response]
) -> None:
    split(first, second, "shadow")
    until(lambda: [ask(first).json() for _ in range(10)] and now()["other"].get("requests"))
    assert all(ask(first).json() == answers(package) for _ in range(20))
    until(lambda: now()["compared"]["rows"] >= 100)
    seen = now()
    assert seen["compared"]["equal"] == 0  # it says the opposite
    assert seen["other"]["errors"] == 0
    client.settle(first.url)
    assert set(captured.read(Path(first.capture))["model"]) == {"credit/1"}
    apart = Path(first.capture).with_name("shadow-capture.db")
    until(lambda: captured.exists(apart) and set(captured.read(apart)["model"]) == {"credit/2"})


@pytest.mark.parametrize(
    ("behaviour", "goals", "reason"),
    [
        ("return self.answer(500, b'{}')", (), r"^It left \d+ requests in a row .*HTTP 500"),
        ("time.sleep(60)", (), "requests in a row unanswered .no answer within 2 s"),
        ("os._exit(3)", (), r"of credit/2 \(process \d+\) ended with exit code 3"),
        ("time.sleep(0.2)", (LATENCY,), r"breaks the goal 'p95_latency .*p95 is 2\d\d.\d ms, the"),
        (
            "if int(time.time() * 1000) % 2: return self.answer(500, b'{}')",
            (ERRORS,),
            r"breaks the goal 'error_rate <= 10%': .* is \d\d\.\d% .last: HTTP 500|in a row",
        ),
    ],
    ids=["fails", "hangs", "dies", "slow", "fails at times"],
)
def test_a_canary_that_is_no_good_is_stopped_and_no_client_sees_it(
    behaviour: str,
    goals: tuple[Goal, ...],
    reason: str,
    first: Deployment,
    package: Package,
    unruly: Callable[[str], Package],
) -> None:
    split(first, unruly(behaviour), "canary", goals=goals)
    with Load(first.url, manifest.example(Path(package.path)), clients=8) as load:
        until(lambda: now()["status"] == "stopped")
        count = len(load.replies)
        until(lambda: len(load.replies) > count + 100)
    assert not load.errors
    assert {reply.status_code for _, reply in load.replies} == {200}
    assert all(answer == answers(package) for answer in load.answers())
    seen = now()
    assert re.search(reason, seen["reason"]), seen["reason"]
    assert seen["at"]
    events = [event["text"] for event in state.find("credit").details["events"]]
    assert any(text.startswith("The canary was stopped: ") for text in events)


def test_a_second_version_that_does_not_come_up(
    first: Deployment, package: Package, unruly: Callable[[str], Package]
) -> None:
    bad = unruly("pass")
    (Path(bad.path) / manifest.ANSWERS).write_text('{"predictions": ["neither"]}')
    with pytest.raises(StepFailed, match="failed its smoke test"):
        # What it answers is what that file says, so let the test expect something else.
        split(first, _expecting_otherwise(bad), "canary")
    assert now() == {}
    (Path(bad.path) / "mlops_magics" / "serving" / "__main__.py").write_text("raise SystemExit(7)")
    with pytest.raises(StepFailed, match="ended with exit code 7"):
        split(first, bad, "canary")
    assert now() == {}
    assert state.find("credit").pid == first.pid


def _expecting_otherwise(package: Package) -> Package:
    main = Path(package.path) / "mlops_magics" / "serving" / "__main__.py"
    main.write_text(main.read_text().replace("self.answer(200, right)", "self.answer(200, b'{}')"))
    return package


def test_without_a_supervisor_there_is_no_second_version(
    first: Deployment, second: Package
) -> None:
    os.kill(first.details["supervisor"], signal.SIGKILL)
    until(lambda: state.find("credit").reason)
    with pytest.raises(StepFailed, match=r"has no supervisor that could start a canary.*again"):
        split(first, second, "canary")
