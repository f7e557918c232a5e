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

Progress = Literal["waiting", "reached", "impossible"]
Seen = TypeVar("Seen")


async def wait_until(
    look: Callable[[], Awaitable[Seen]],
    judge: Callable[[Seen], Progress],
    *,
    clock: Clock,
    timeout_seconds: float,
    sleep_seconds: float,
) -> tuple[Seen, Progress]:
    """What was seen last, and how it ended; "waiting" means that time was up. Looks at least once, and once more at the very end."""
    deadline = clock.monotonic() + timeout_seconds
    while True:
        seen = await look()
        progress = judge(seen)
        left = deadline - clock.monotonic()
        if progress != "waiting" or left <= 0:
            return seen, progress
        await clock.sleep(min(sleep_seconds, left))
