"""The rate limit of a public node, as a switch: so many calls in so many seconds, and HTTP 429 for what comes on top."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable


class RateLimit:
    """Calls are counted in a sliding window, whoever makes them. ``clock`` gives seconds of any beginning."""

    def __init__(self, calls: int, seconds: float, clock: Callable[[], float] = time.monotonic):
        if calls < 1 or not 0 < seconds < math.inf:
            raise ValueError("a rate limit is at least one call in a time longer than none")
        self._calls = calls
        self._seconds = seconds
        self._clock = clock
        self._times: deque[float] = deque()

    def wait_seconds(self) -> int | None:
        """Counts a call that is allowed and gives None, or gives the seconds after which one will be."""
        now = self._clock()
        while self._times and self._times[0] <= now - self._seconds:
            self._times.popleft()
        if len(self._times) < self._calls:
            self._times.append(now)
            return None
        return max(1, math.ceil(self._times[0] + self._seconds - now))
