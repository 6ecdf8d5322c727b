"""``python -m mlops_magics.targets.supervisor PLACE DESCRIPTOR``: keep a deployment up.

It holds the socket that clients connect to, so that connections wait there while a server is
started anew, and gives it to the servers of its plan. It imports nothing heavy, so that it costs
little memory, and outlives the notebook.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import sys
import time
import traceback
from datetime import UTC, datetime
from pathlib import Path

import psutil

from mlops_magics.targets import canaries, plans
from mlops_magics.targets.crew import Hand
from mlops_magics.targets.plans import Beside, Plan, Report

#: Written by the supervisors of a deployment, one line of JSON each.
EVENTS = "events.jsonl"
#: How many events a report repeats, and how many logs of former servers are kept.
TOLD, LOGS = 10, 5
#: Bytes of events after which a new file is begun; one old one is kept.
MOST_EVENTS = 1 << 20
#: Seconds between two looks, while something is on its way and while nothing is.
SOON, SELDOM = 0.05, 0.5
#: Seconds for which a server that is not deployed may wait for it.
UNTESTED = 600.0


class Supervisor:
    """One deployment's servers.

    Parameters
    ----------
    place : Path
        The folder with the plan, within the deployment's.
    common : socket
        What clients connect to.
    """

    def __init__(self, place: Path, common: socket.socket) -> None:
        self.place = place
        self.common = common
        self.plan = Plan()
        self.hands: dict[str, Hand] = {}
        self.deployed = ""
        self.ending = False
        self._known: set[str] = set()  # servers that were started; none is so twice
        me = psutil.Process()
        self.report = Report(me.pid, me.create_time(), port=int(common.getsockname()[1]))
        self._stamp = 0
        self._judged_at = 0.0
        self._last = ""

    def run(self) -> None:
        """Until told to stop, or there is nothing left that could be kept up."""
        woken, waking = os.pipe()
        for end in (woken, waking):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(waking, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._end)
        for number in (signal.SIGCHLD, signal.SIGHUP):
            signal.signal(number, lambda *_: None)  # only to be woken
        is_stopping = False
        while not (self.ending and not self.hands):
            if self.ending and not is_stopping:
                is_stopping = True
                self._stop_all()
            try:
                self._tend()
            except Exception:  # whatever it is (a full disk), who supervises must not end of it
                traceback.print_exc()
            is_moving = any(h.state in ("starting", "ending") for h in self.hands.values())
            select.select([woken], [], [], SOON if is_moving else SELDOM)
            with contextlib.suppress(BlockingIOError):
                os.read(woken, 1024)
        self._tell()

    def tell(self, text: str) -> None:
        """Keep what happened."""
        at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        event = {"at": at, "text": text}
        self.report.events = [*self.report.events, event][-TOLD:]
        kept = self.place.parent / EVENTS
        with contextlib.suppress(OSError), kept.open("a", encoding="utf-8") as file:
            file.write(json.dumps(event, ensure_ascii=False) + "\n")
            if file.tell() > MOST_EVENTS:
                kept.replace(kept.with_suffix(".old"))

    def _tend(self) -> None:
        """One look at everything."""
        if not self.ending:
            self._look()
        for hand in list(self.hands.values()):
            hand.tend()
        self._settle()
        self._judge()
        self._tell()

    def _end(self, *_: object) -> None:
        self.ending = True

    def _look(self) -> None:
        """Do what the plan says, where that is new."""
        with contextlib.suppress(OSError):
            stamp = (self.place / plans.PLAN).stat().st_mtime_ns
            if stamp != self._stamp:
                self._stamp, before, self.plan = stamp, self.plan, Plan.read(self.place)
                self._follow(before)

    def _follow(self, before: Plan) -> None:
        plan = self.plan
        for server in plan.servers:
            if server.id not in self._known:
                self._known.add(server.id)
                self.hands[server.id] = Hand(server, self.common, self._new_log, self.tell)
        if plan.beside != before.beside:
            self.report.beside = {}
            self._route(None)
            if before.beside is not None:
                self.tell(f"The {before.beside.kind} ended.")
        if plan.deployed != self.deployed:
            hand = self.hands.get(plan.deployed)
            if hand is None or hand.state != "ready":
                return  # the report says why, and whoever wrote the plan makes another
            hand.deploy()
            self.deployed = plan.deployed
            self.tell(f"{hand.server.model} answers clients (process {hand.facts()['pid']}).")
        for of, hand in self.hands.items():
            if plan.server(of) is None and hand.state not in ("ending", "gone"):
                if hand.is_deployed:
                    hand.let_go()
                else:
                    hand.stop()

    def _stop_all(self) -> None:
        with contextlib.suppress(OSError):
            self._route(None)
        for hand in self.hands.values():
            hand.stop()

    def _settle(self) -> None:
        """Forget who is gone; give up where nobody is left to answer."""
        self.hands = {of: hand for of, hand in self.hands.items() if hand.state != "gone"}
        deployed = self.hands.get(self.deployed)
        if deployed is not None and deployed.state == "failed" and not self.ending:
            self.report.reason = deployed.reason
            self.ending = True
        for hand in self.hands.values():
            is_idle = hand.state == "ready" and not (hand.is_deployed or self._is_beside(hand))
            if is_idle and time.time() - hand.since > UNTESTED:
                hand.stop()

    def _is_beside(self, hand: Hand) -> bool:
        return self.plan.beside is not None and self.plan.beside.id == hand.server.id

    def _judge(self) -> None:
        """Once a second: compare the second version with the deployed one; end it if it fails."""
        beside, now = self.plan.beside, time.monotonic()
        if beside is None or self.ending or self.report.beside.get("status") == "stopped":
            return
        hand, deployed = self.hands.get(beside.id), self.hands.get(self.deployed)
        if hand is None or hand.state in ("failed", "waiting", "ending"):
            self._stop(beside, hand.reason if hand and hand.reason else "Its server is gone.")
        elif hand.state == "ready" and deployed and now - self._judged_at >= 1:
            self._judged_at = now
            self._compare(beside, hand, deployed)

    def _compare(self, beside: Beside, hand: Hand, deployed: Hand) -> None:
        route = {"id": beside.id, "kind": beside.kind, "share": beside.share, "port": hand.port}
        self._route(route)
        self.report.beside.update(id=beside.id, status="on")
        said = deployed.figures("/beside") if deployed.state == "ready" else None
        figures = json.loads(said) if said else {}
        if figures.get("id") == beside.id:  # else it has not looked yet
            self.report.beside["figures"] = figures
            if why := canaries.broken(beside, figures):
                self._stop(beside, why)

    def _stop(self, beside: Beside, why: str) -> None:
        self._route(None)
        at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self.report.beside.update(id=beside.id, status="stopped", reason=why, at=at)
        self.tell(f"The {beside.kind} was stopped: {why}")
        if hand := self.hands.get(beside.id):
            hand.stop()

    def _route(self, content: dict[str, object] | None) -> None:
        file = self.place / plans.ROUTES
        if content is None:
            file.unlink(missing_ok=True)
        elif plans.read(file) != content:
            plans.write(file, content)

    def _tell(self) -> None:
        report = self.report
        report.number, report.deployed = self.plan.number, self.deployed
        report.servers = {of: hand.facts() for of, hand in self.hands.items()}
        if (text := repr(report)) != self._last:
            self._last = text
            with contextlib.suppress(OSError):  # on a full disk it goes on
                report.write(self.place)

    def _new_log(self) -> Path:
        """A log of its own for each process, in order of time; the oldest are removed."""
        place = self.place.parent
        for old in sorted(place.glob("server-*.log"))[: 1 - LOGS]:
            old.unlink(missing_ok=True)
        return place / f"server-{time.time_ns()}.log"


def main() -> None:
    """Supervise until told to stop."""
    place, descriptor = Path(sys.argv[1]), int(sys.argv[2])
    Supervisor(place, socket.socket(fileno=descriptor)).run()


if __name__ == "__main__":
    main()
