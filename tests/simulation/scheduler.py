"""Virtual time on asyncio: nothing waits, nothing is real, and the same seed gives the same run.

The loop's selector is where an event loop waits when every task is blocked. Ours never waits: it takes the next event from a heap,
sets the time to it and runs it. What comes next is decided by when, and when is drawn from the seed.
"""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import asyncio
import hashlib
import heapq
import random
import selectors
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

START_SECONDS = 1_800_000_000.0
_TAIL_LINES = 400

Value = TypeVar("Value")


class Deadlock(Exception):
    """Every task waits and nothing is going to happen."""


class Trace:
    """What happened, line by line: the newest lines, and a digest of all of them."""

    def __init__(self) -> None:
        self.tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self.lines = 0
        self._digest = hashlib.sha256()

    def add(self, line: str) -> None:
        self.tail.append(line)
        self.lines += 1
        self._digest.update(line.encode() + b"\n")

    @property
    def digest(self) -> str:
        return self._digest.hexdigest()


class Scheduler:
    """Time, chance and the order of everything."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.now = START_SECONDS
        self.trace = Trace()
        self.on_time: Callable[[], None] = lambda: None
        """Called whenever time has passed, before the event that it passed for."""
        self.on_event: Callable[[], None] = lambda: None
        """Called after every event."""
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self.killed: list[asyncio.Task[None]] = []
        """Tasks that nobody will ever resume, kept so that they are not ended before all is over."""

    def note(self, who: str, what: str) -> None:
        """One line of the trace."""
        self.trace.add(f"{self.now - START_SECONDS:10.3f} {who:<14} {what}")

    def after(self, seconds: float, event: Callable[[], None]) -> None:
        """Have something happen after so many seconds."""
        self._count += 1
        heapq.heappush(self._events, (self.now + max(0.0, seconds), self._count, event))

    def step(self, longest_seconds: float | None) -> None:
        """Let the next event happen, or so much time pass, whichever comes first."""
        if longest_seconds is not None and (not self._events or self._events[0][0] > self.now + longest_seconds):
            self._pass(self.now + longest_seconds + 1e-6)  # else rounding may leave the time where it is
            return
        if not self._events:
            raise Deadlock
        when, _count, event = heapq.heappop(self._events)
        self._pass(when)
        event()
        self.on_event()

    def _pass(self, until: float) -> None:
        if until > self.now:
            self.now = until
            self.on_time()

    def run(self, main: Coroutine[Any, Any, Value]) -> Value:
        """Runs everything until `main` is done; what still waits then is ended."""
        loop = _Loop(self)
        loop.set_exception_handler(lambda _loop, _context: None)  # of killed tasks nobody wants to know how they end
        try:
            return loop.run_until_complete(main)
        finally:
            self._events.clear()
            left = asyncio.all_tasks(loop)
            for task in left:
                task.cancel()
            if left:
                loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
            loop.close()


class _Loop(asyncio.SelectorEventLoop):
    """A loop whose time is virtual, too: it has timers of its own, such as that of asyncio.timeout."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        super().__init__(_Selector(scheduler.step))

    def time(self) -> float:
        return self._scheduler.now - START_SECONDS  # small, because asyncio adds a nanosecond to it that must not be lost


class _Selector(selectors.DefaultSelector):
    """Asked to wait, it has something happen instead."""

    def __init__(self, idle: Callable[[float | None], None]) -> None:
        super().__init__()
        self._idle = idle

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None or timeout > 0:
            self._idle(timeout)
        return []


@dataclass
class Process:
    """A run of a playbook as the operating system sees it: it can be killed, and then it never does anything again."""

    scheduler: Scheduler
    name: str
    kill_after_events: int | None = None
    alive: bool = True
    events: int = 0
    ended: asyncio.Future[None] = field(init=False)

    def __post_init__(self) -> None:
        self.ended = asyncio.get_running_loop().create_future()

    def kill(self) -> None:
        """As kill -9 does it."""
        if self.alive and not self.ended.done():
            self.alive = False
            self.scheduler.note(self.name, "killed")
            self.ended.set_result(None)

    def resume(self, seconds: float, waiting: asyncio.Future[Value], outcome: Value | BaseException) -> None:
        """Goes on with what a task of the process waits for, after so many seconds, if it still lives then."""

        def event() -> None:
            if not self.alive or waiting.done():
                return
            self.events += 1
            if self.kill_after_events is not None and self.events >= self.kill_after_events:
                self.kill()
            elif isinstance(outcome, BaseException):
                waiting.set_exception(outcome)
            else:
                waiting.set_result(outcome)

        self.scheduler.after(seconds, event)


class VirtualClock:
    """The collection's Clock, for one process; its wall clock may be off."""

    def __init__(self, process: Process, *, skew_seconds: float = 0.0) -> None:
        self._process = process
        self._scheduler = process.scheduler
        self._skew_seconds = skew_seconds

    def now(self) -> float:
        return self._scheduler.now + self._skew_seconds

    def monotonic(self) -> float:
        return self._scheduler.now - START_SECONDS

    async def sleep(self, seconds: float) -> None:
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._process.alive:
            self._process.resume(seconds + self._scheduler.random.random() * 0.02, waiting, None)
        await waiting

    def random(self) -> float:
        return self._scheduler.random.random()
