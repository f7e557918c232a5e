"""What is said while a job is waited for: one line when its state changes, and now and then one that it has not."""
# Copyright (c) 2026, The nosana.compute contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection and may change without notice.

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .._clients import program as jobs_program
from .money import nos
from .verdict import clean

if TYPE_CHECKING:
    from .._clients.clock import Clock
    from .._clients.pubsub import Waker
    from .observation import ObservedJob

# Told what happens while a task waits, line by line. It masks secrets itself.
Tell = Callable[[str], None]

_INTERVALS_SECONDS = (10.0, 30.0, 60.0, 120.0, 300.0)
_MOST_NAME, _MOST_LOG_LINE = 80, 120


@dataclass(frozen=True)
class Sight:
    """What a line is made of; another one is a change that is told at once. `started` 0: nobody is paid yet, as far as is known."""

    state: str
    started: int = 0
    price: int = 0
    timeout_seconds: int = 0

    def line(self, *, now_seconds: int, waited_seconds: float, log_line: str | None = None) -> str:
        """now_seconds: the chain's time, by which the host is paid."""
        if not self.started:
            return f"{self.state}, waited for {duration(waited_seconds)} so far"
        paid = nos(jobs_program.paid(self.price, self.started, now_seconds, self.timeout_seconds))
        last = f"; {_one_line(log_line, _MOST_LOG_LINE)}" if log_line else ""
        return f"{self.state} for {duration(now_seconds - self.started)}, {paid} NOS so far{last}"


def sight(job: ObservedJob, *, ready_wanted: bool) -> Sight:
    """A job that is waited for."""
    account = job.account
    if job.phase == "running":
        host = job.run.node if job.run is not None else "a host that the RPC node does not name"
        started = job.run.time_start if job.run is not None else 0
        return Sight(f"running on {host}" + (", not ready," if ready_wanted else ""), started, account.price, account.timeout_seconds)
    words = {"queued": "queued", "stopped": "given up by its host", "done": "over, its result is not to be had yet", "orphaned": "lost"}
    return Sight(words[job.phase])


def duration(seconds: float) -> str:
    """In the two largest units: 2 min 10 s."""
    whole = max(0, int(seconds))
    hours, minutes, rest = whole // 3600, whole % 3600 // 60, whole % 60
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def line_about(name: str, text: str) -> str:
    """One that says which job it is about."""
    return f"nosana_job {_one_line(name, _MOST_NAME)}: {text}"


def _one_line(text: str, most: int) -> str:
    return " ".join(clean(text, limit=most).split())


class Teller:
    """A waker that tells, while it waits, how things stand."""

    def __init__(
        self,
        tell: Tell,
        name: str,
        goal: str,
        *,
        clock: Clock,
        waker: Waker,
        sees: Callable[[], tuple[Sight, int] | None],
        log_line: Callable[[], str | None],
    ) -> None:
        """goal: the first line, with what is needed to find the job again when the wait is cut off. sees: what the last look has shown, and
        the chain's time then.
        """
        self._tell = tell
        self._name = name
        self._goal: str | None = goal
        self._clock = clock
        self._waker = waker
        self._sees = sees
        self._log_line = log_line
        self._begun = clock.monotonic()
        self._due = math.inf
        self._told: Sight | None = None
        self._intervals: Iterator[float] = iter(())

    async def wait(self, seconds: float) -> bool:
        begun = self._clock.monotonic()
        seen = self._sees()
        if self._goal is not None:
            self._say(self._goal)
            self._goal = None
        while True:
            passed = self._clock.monotonic() - begun
            if seen is not None:
                self._tell_what_is_due(seen[0], seen[1] + int(passed))
            if await self._waker.wait(max(0.0, min(seconds - passed, self._due - self._clock.monotonic()))):
                return True
            if self._clock.monotonic() - begun >= seconds:
                return False

    def _tell_what_is_due(self, sight: Sight, now_seconds: int) -> None:
        now = self._clock.monotonic()
        if sight != self._told:
            self._told = sight
            self._intervals = itertools.chain(_INTERVALS_SECONDS, itertools.repeat(_INTERVALS_SECONDS[-1]))
        elif now < self._due:
            return
        self._due = now + next(self._intervals)
        self._say(sight.line(now_seconds=now_seconds, waited_seconds=now - self._begun, log_line=self._log_line()))

    def _say(self, text: str) -> None:
        self._tell(line_about(self._name, text))
