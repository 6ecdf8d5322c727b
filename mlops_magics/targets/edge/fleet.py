"""A release on all devices of a list, or on none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from mlops_magics.errors import StepFailed
from mlops_magics.targets.edge import releases
from mlops_magics.targets.edge.devices import Device, DeviceFailed
from mlops_magics.targets.edge.releases import Release, Sent

T = TypeVar("T")

#: Devices that are spoken to at once.
AT_ONCE = 16
#: Devices that a sentence names before it counts the rest.
NAMED = 3


@dataclass(frozen=True)
class Rollout:
    """How a release came to its devices.

    Attributes
    ----------
    reached : mapping
        The devices that have it now, with what sending did.
    failed : mapping
        The others, with what was wrong, as the rest of a sentence.
    """

    reached: dict[Device, Sent]
    failed: dict[Device, str]


def roll_out(
    devices: Sequence[Device], release: Release, *, partial: bool = False, keep: int = 3
) -> Rollout:
    """Send a release to all, check it on all, and only then make it current on each.

    Parameters
    ----------
    partial : bool
        Go on without the devices that fail; else every device is as it was before if one fails.
    keep : int
        Releases that stay on a device.

    Raises
    ------
    StepFailed
        If a device fails, or with `partial` all; names them.
    """
    reached, failed = _each(devices, lambda d: releases.send(d, release))
    try:
        _enough(devices, failed, partial)
        switched, stuck = _each(
            list(reached), lambda d: releases.switch(d, release.name, release.model)
        )
        try:
            _enough(devices, failed | stuck, partial)
        except StepFailed:
            each(list(switched), lambda d: releases.switch(d, reached[d].before, "again"))
            raise
    except BaseException:
        fresh = [d for d, sent in reached.items() if sent.new]
        each(fresh, lambda d: releases.remove(d, release))
        raise
    done = {d: reached[d] for d in switched}
    each(
        list(done),
        lambda d: releases.prune(d, keep, _spared(release.name, done[d].before)),
    )
    return Rollout(done, failed | stuck)


def named(devices: Sequence[Device], failed: dict[Device, str]) -> str:
    """The devices that failed and why, as the end of a sentence."""
    said = [f"{device.name} {why}" for device, why in failed.items()]
    rest = f"; and {len(said) - NAMED} more" if len(said) > NAMED else ""
    counted = f"{len(said)} of {len(devices)} devices: " if len(devices) > 1 else ""
    return counted + "; ".join(said[:NAMED]) + rest


def _each(
    devices: Sequence[Device], act: Callable[[Device], T]
) -> tuple[dict[Device, T], dict[Device, str]]:
    """Act on all at once; what came of it, and of which nothing came and why."""
    done, failed = dict[Device, T](), dict[Device, str]()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for device, future in [(d, pool.submit(act, d)) for d in devices]:
            try:
                done[device] = future.result()
            except DeviceFailed as error:
                failed[device] = error.message
    return done, failed


def each(devices: Sequence[Device], act: Callable[[Device], None]) -> dict[Device, str]:
    """Act on all at once; those that failed, and why."""
    return _each(devices, act)[1]


def _enough(devices: Sequence[Device], failed: dict[Device, str], partial: bool) -> None:
    """Refuse to go on with too few."""
    if not failed or (partial and len(failed) < len(devices)):
        return
    all_stay = (
        "No device was changed."
        if partial
        else "No device was changed; -o partial yes goes on without those that fail."
    )
    raise StepFailed(f"The release was not rolled out: {named(devices, failed)}.", all_stay)


def _spared(*names: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(filter(None, names)))
