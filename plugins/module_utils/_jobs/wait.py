"""Waiting: look, decide, sleep, until the goal is reached, can no longer be reached, or time is up."""
# Copyright (c) 2026, The nosana.compute contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection and may change without notice.

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Literal, TypeVar

if TYPE_CHECKING:
    from .._clients.clock import Clock
    from .._clients.pubsub import Waker

Progress = Literal["waiting", "reached", "impossible"]
Seen = TypeVar("Seen")

# The node that is asked may be a little behind the one that told, and a result reaches the gateways a little after the chain.
_AFTER_WAKING_SECONDS = (0.5, 1.0, 2.0)
_LEAST_SECONDS = 0.25
_MOST_DOUBLINGS = 20


async def wait_until(
    look: Callable[[], Awaitable[Seen]],
    judge: Callable[[Seen], Progress],
    *,
    clock: Clock,
    timeout_seconds: float,
    sleep_seconds: float,
    waker: Waker,
) -> tuple[Seen, Progress]:
    """What was seen last, and how it ended; "waiting" means that time was up. Looks at least once, and once more at the very end."""
    deadline = clock.monotonic() + timeout_seconds
    pauses = Pauses(clock, waker)
    before: Seen | None = None
    while True:
        seen = await look()
        progress = judge(seen)
        left = deadline - clock.monotonic()
        if progress != "waiting" or left <= 0:
            return seen, progress
        await pauses.pause(min(sleep_seconds, left), news=seen != before)
        before = seen


class Pauses:
    """The pauses between looks. Whoever wakes us is no authority: woken in vain again and again, we let ourselves be woken less and less."""

    def __init__(self, clock: Clock, waker: Waker) -> None:
        self._clock = clock
        self._waker = waker
        self._in_vain = 0
        self._soon: list[float] = []

    async def pause(self, most_seconds: float, *, news: bool) -> None:
        """At most so long; shorter when woken, and a few times after that. `news`: the last look has shown something new."""
        if news:
            self._in_vain = 0
        least = min(most_seconds, _LEAST_SECONDS * 2 ** min(self._in_vain, _MOST_DOUBLINGS)) if self._in_vain else 0.0
        soon = self._soon.pop(0) if self._soon else most_seconds
        if least:
            await self._clock.sleep(least)
        rest = max(0.0, min(most_seconds, soon) - least)
        if await self._waker.wait(rest):
            self._in_vain += 1
            self._soon = list(_AFTER_WAKING_SECONDS)
        elif max(least, soon) >= most_seconds:
            self._in_vain = 0
