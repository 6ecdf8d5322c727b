"""How much time keeping states may take.

One second in all, and a twentieth of the time that the cells take: what is lost where a state was
not kept is then at most some twenty times what keeping it would have cost.
"""

from __future__ import annotations

import time

#: Seconds that keeping may take in all, and the share of the time that the cells take.
ALLOWANCE, SHARE = 1.0, 0.05
#: Bytes a second that are expected of the first state, and the least that are of any other.
RATE, LEAST = 3e8, 1e6
#: Seconds that are too short to learn from.
SHORT = 0.02


class Allowance:
    """What is left of the time, learned from what keeping has cost so far."""

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self._spent = 0.0
        self._expected = SHORT
        self.rate = RATE

    def left(self, deadline: float | None) -> float:
        """Seconds that the next state may take; 0 if it is expected to take longer."""
        now = time.monotonic()
        allowed = ALLOWANCE + SHARE * (now - self._begun) - self._spent
        if deadline is not None:
            allowed = min(allowed, deadline - now)
        return allowed if allowed >= self._expected else 0.0

    def spend(self, seconds: float) -> None:
        """Note what an attempt has cost in all."""
        self._spent += seconds

    def learn(self, seconds: float, size: float | None) -> None:
        """Note what writing took; `size` in bytes, or ``None`` if it was broken off."""
        if size is None:
            # It would have taken longer still; one that was not even tried took nothing.
            self._expected = max(2 * seconds, self._expected) if seconds > SHORT else SHORT
            return
        self._expected = max(seconds, SHORT)
        if seconds > 5 * SHORT:
            self.rate = max(size / seconds, LEAST)
