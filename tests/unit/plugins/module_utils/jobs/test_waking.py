"""How often is looked when somebody wakes us: at once, a few times after it, and ever less when it was in vain."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ansible_collections.nosana.compute.plugins.module_utils._clients.pubsub import Waker
from ansible_collections.nosana.compute.plugins.module_utils._jobs.wait import wait_until
from ansible_collections.nosana.compute.tests.unit.plugins.module_utils.jobs.test_wait import FakeClock

TEN_MINUTES, SLEEP = 600.0, 60.0


class Wakes:
    """Wakes whoever waits at certain moments."""

    def __init__(self, clock: FakeClock, *moments: float) -> None:
        self.clock, self.moments = clock, sorted(moments)

    async def wait(self, seconds: float) -> bool:
        if self.moments and self.moments[0] <= self.clock.time + seconds:
            self.clock.time = max(self.clock.time, self.moments[0])
            self.moments = [moment for moment in self.moments if moment > self.clock.time]
            return True
        self.clock.time += seconds
        return False


class Flood:
    """Wakes always."""

    def __init__(self) -> None:
        self.waits = 0

    async def wait(self, _seconds: float) -> bool:
        self.waits += 1
        assert self.waits < 1000, "nobody looks that often"
        return True


def looks(waker: Callable[[FakeClock], Waker], *, over_at: float = 1e9, seen: Callable[[float], int] = lambda _time: 0) -> list[float]:
    """The moments of the looks, of a wait of ten minutes."""
    clock, moments = FakeClock(), []

    async def look() -> int:
        moments.append(clock.time)
        return seen(clock.time)

    waiting = wait_until(
        look,
        lambda _seen: "reached" if clock.time >= over_at else "waiting",
        clock=clock,
        timeout_seconds=TEN_MINUTES,
        sleep_seconds=SLEEP,
        waker=waker(clock),
    )
    asyncio.run(waiting)
    return moments


def test_who_is_never_woken_looks_once_a_minute() -> None:
    assert looks(Wakes) == [SLEEP * number for number in range(11)]


def test_what_is_told_is_seen_at_once() -> None:
    assert looks(lambda clock: Wakes(clock, 100.0), over_at=100.0) == [0, 60, 100]


def test_a_node_that_is_behind_the_one_that_told_is_asked_again_soon() -> None:
    assert looks(lambda clock: Wakes(clock, 100.0), over_at=100.8) == [0, 60, 100, 100.5, 101.5]
    assert looks(lambda clock: Wakes(clock, 100.0))[2:7] == [100, 100.5, 101.5, 103.5, 163.5]


def test_a_result_that_comes_after_the_chains_word_is_fetched_soon() -> None:
    """The first look has shown something new, the end; that is no reason to wait a minute for the rest of it."""
    assert looks(lambda clock: Wakes(clock, 100.0), over_at=101.0, seen=lambda time: time >= 100) == [0, 60, 100, 100.5, 101.5]


def test_a_second_event_right_after_the_first_is_seen_within_a_second() -> None:
    for second in (100.1, 100.7, 102.0):
        assert looks(lambda clock, second=second: Wakes(clock, 100.0, second), over_at=second)[-1] - second <= 1.0


def test_who_wakes_in_vain_all_the_time_makes_us_look_hardly_more_often() -> None:
    assert len(looks(lambda _clock: Flood())) <= 11 + 9


def test_news_are_no_reason_to_look_less() -> None:
    events = [3.0 * number for number in range(1, 60)]
    moments = looks(lambda clock: Wakes(clock, *events), seen=lambda time: int(time / 3))
    assert set(events) <= set(moments)


def test_after_a_quiet_minute_a_wake_up_counts_again() -> None:
    in_vain = [float(number) for number in range(1, 60)]
    assert looks(lambda clock: Wakes(clock, *in_vain, 300.0), over_at=300.0)[-1] == 300.0


def test_ten_minutes_with_a_dozen_events_ask_no_more_than_a_few_dozen_times() -> None:
    events = [50.0 * number for number in range(1, 12)]
    assert len(looks(lambda clock: Wakes(clock, *events), seen=int)) <= 11 + 11 * 4
