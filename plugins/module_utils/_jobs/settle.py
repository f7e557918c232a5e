"""Waits until nothing older can land at the address of a name's last job, before another job follows it (docs/identity.md)."""
# Copyright (c) 2026, The nosana.compute contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection and may change without notice.

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .._clients.errors import Interrupted, Moved
from .apply import CLOSING
from .progress import duration, line_about
from .watch import cut_off, take_back_cancellation

if TYPE_CHECKING:
    from .._clients.clock import Clock
    from .._clients.transaction import Sender
    from .apply import Applier, Draft
    from .observation import Observation
    from .progress import Tell

_HISTORY_LAG_SECONDS = 8.0


def freed(seen: Observation, generation: int, drafts: Sequence[Draft]) -> str | None:
    """The address of the last job of the name before `generation`, where its account is gone or is closed by what was drafted."""
    if not generation:
        return None
    last = seen.identity.address(generation - 1)
    closed = any(step.job == last and step.kind in CLOSING for draft in drafts for step in draft.steps)
    return last if closed or all(job.address != last for job in seen.jobs) else None


@dataclass(frozen=True)
class Settler:
    """Lets the freed address of a name's last job settle. `waiting` is entered while it takes time; `tell` hears why it does."""

    applier: Applier
    sender: Sender
    clock: Clock
    tell: Tell | None
    waiting: Callable[[], AbstractContextManager[None]]

    async def settle(self, address: str, name: str, first_use: int | None, seen_slot: int) -> Interrupted | None:
        """Raises Moved after a time of waiting, when another run's posting may still come to an address that is free or becomes it.

        `first_use`: the slot in which the address was first used, where that was asked already. Returns what is to be said when the wait was
        cut off.
        """

        def begin(seconds: float) -> None:
            if self.tell is not None:
                line = (
                    f"the job {address} is so young that another run's posting of it may still arrive; waiting for {duration(seconds)} or so "
                    "before it is posted anew"
                )
                self.tell(line_about(name, line))

        try:
            with self.waiting():
                slot = await self.applier.first_use(address) if first_use is None else first_use
                if not slot:  # a job that is seen already may not be in the node's history yet
                    await self.clock.sleep(_HISTORY_LAG_SECONDS)
                    slot = await self.applier.first_use(address)
                waited = await self.sender.outlast(slot, seen_slot, begin)
        except asyncio.CancelledError:
            take_back_cancellation()
            sentence = (
                f"Waiting until the job {name} can be posted anew was interrupted; {address} is left as it was, so run the task again."
            )
            return cut_off(sentence, self.tell)
        if waited:
            raise Moved(f"The job {address} was too young to be followed by another one when it was looked at; run the task again.")
        return None
