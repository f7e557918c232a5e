"""Waiting ends when it should, on a clock that never sleeps."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import asyncio

from ansible_collections.nosana.compute.plugins.module_utils._clients.pubsub import Sleeper
from ansible_collections.nosana.compute.plugins.module_utils._jobs.wait import Progress, wait_until


class FakeClock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.time += seconds

    def random(self) -> float:
        return 0.5


def run(answers: list[Progress], *, timeout: float, sleep: float = 2.0) -> tuple[int, Progress, float]:
    clock, looks = FakeClock(), 0

    async def look() -> int:
        nonlocal looks
        looks += 1
        return looks

    seen, progress = asyncio.run(
        wait_until(
            look,
            lambda number: answers[min(number, len(answers)) - 1],
            clock=clock,
            timeout_seconds=timeout,
            sleep_seconds=sleep,
            waker=Sleeper(clock),
        )
    )
    return seen, progress, clock.time


def test_reached_at_once_sleeps_not() -> None:
    assert run(["reached"], timeout=10) == (1, "reached", 0.0)


def test_reached_on_the_third_look() -> None:
    assert run(["waiting", "waiting", "reached"], timeout=10) == (3, "reached", 4.0)


def test_impossible_ends_the_wait_early() -> None:
    assert run(["waiting", "impossible"], timeout=1000) == (2, "impossible", 2.0)


def test_time_up_returns_what_was_seen_last_and_looks_at_the_very_end() -> None:
    assert run(["waiting"], timeout=5) == (4, "waiting", 5.0)


def test_no_time_at_all_still_looks_once() -> None:
    assert run(["waiting"], timeout=0) == (1, "waiting", 0.0)
