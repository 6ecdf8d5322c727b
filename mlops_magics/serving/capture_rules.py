"""What is kept of the requests: a share of them, without some columns, for a while."""

from __future__ import annotations

import argparse
import math
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlops_magics.settings import Settings

#: The client id of the requests by which a deployment is tested before it is called up.
SMOKE_TEST = "mlops-smoke-test"

#: In place of an error's sentence, which may quote what must not be kept.
UNSAID = "(not kept, as columns are masked)"


@dataclass(frozen=True, kw_only=True)
class Rules:
    """How much a capture keeps.

    Attributes
    ----------
    sample : float
        The share of requests, decided by their key or else their id, so that a key is either
        always kept or never. Errors are always kept; of what is left out the number is.
    mask : tuple of str
        Input columns whose values never reach the disk.
    keep_mb, keep_days : float
        The oldest files go when all are larger than this, or when they are older; 0 is no limit.
    """

    sample: float = 1.0
    mask: tuple[str, ...] = ()
    keep_mb: float = 10_000
    keep_days: float = 0

    @classmethod
    def of(cls, settings: Settings) -> Rules:
        """What the settings say."""
        return cls(
            sample=settings.capture_sample,
            mask=settings.capture_mask,
            keep_mb=settings.capture_keep_mb,
            keep_days=settings.capture_keep_days,
        )

    @classmethod
    def given(cls, options: argparse.Namespace) -> Rules:
        """What a server's arguments say (`add`)."""
        return cls(
            sample=options.capture_sample,
            mask=tuple(options.capture_mask),
            keep_mb=options.capture_keep_mb,
            keep_days=options.capture_keep_days,
        )

    def arguments(self) -> list[str]:
        """The server's arguments; none where the default holds, which older servers know too."""
        given = [f"--capture-mask={name}" for name in self.mask]
        numbers = {name: getattr(self, name) for name in ("sample", "keep_mb", "keep_days")}
        changed = {n: v for n, v in numbers.items() if v != getattr(Rules, n)}
        return given + [f"--capture-{n.replace('_', '-')}={v:g}" for n, v in changed.items()]

    def keeps(self, name: str, status: int, client_id: str) -> bool:
        """Whether a request is kept.

        Parameters
        ----------
        name : str
            The client's key, else the request's id.
        """
        if self.sample >= 1 or status >= 400 or client_id == SMOKE_TEST:
            return True
        return zlib.crc32(name.encode("utf-8", "replace")) < self.sample * 2**32


def add(parser: argparse.ArgumentParser) -> None:
    """The arguments of a server that say what is kept."""
    parser.add_argument(
        "--capture-sample", type=_share, default=Rules.sample, help="... of this share of them"
    )
    parser.add_argument(
        "--capture-mask", action="append", default=[], help="... without this column's values"
    )
    parser.add_argument(
        "--capture-keep-mb",
        type=_limit,
        default=Rules.keep_mb,
        help="remove the oldest beyond this size",
    )
    parser.add_argument(
        "--capture-keep-days",
        type=_limit,
        default=Rules.keep_days,
        help="... or beyond this age; 0 is no limit",
    )


def _share(text: str) -> float:
    number = float(text)
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not from 0 to 1")
    return number


def _limit(text: str) -> float:
    number = float(text)
    if not 0 <= number < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not a number from 0")
    return number
