"""Pauses before a retry."""

from __future__ import annotations

import random


def pause(attempt: int, *, first: float = 0.1, longest: float = 5.0) -> float:
    """Return the seconds to wait after the failed attempt number `attempt` (from 0): doubling, the upper half random.

    The jitter prevents clients that failed at the same time from retrying at the same time.
    """
    ceiling = min(longest, first * 2.0 ** min(attempt, 64))
    return ceiling * (0.5 + 0.5 * random.random())
