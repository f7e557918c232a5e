"""What the next items of a loop will ask, asked along with what is asked now: enough to say that nothing is to be done, never to spend."""
# Copyright (c) 2026, The nosana.compute contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection and may change without notice.

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from .._clients.rpc import Snapshot

Question = TypeVar("Question")

MOST_AGE_SECONDS = 2.0
_MOST_KEPT = 32


@dataclass(frozen=True)
class Foreseen(Generic[Question]):
    """A question that was asked before its time, and the accounts that answer it."""

    question: Question
    snapshot: Snapshot
    read_at: float


class Foresight(Generic[Question]):
    """One for all items of a loop. `upcoming`: the names that come next, in order, as far as they are known."""

    def __init__(self) -> None:
        self.upcoming: Sequence[str] = ()
        self._kept: dict[Hashable, Foreseen[Question]] = {}

    def keep(self, key: Hashable, foreseen: Foreseen[Question]) -> None:
        """For the item that will ask for `key`."""
        self._kept[key] = foreseen
        while len(self._kept) > _MOST_KEPT:
            del self._kept[next(iter(self._kept))]

    def take(self, key: Hashable, now: float) -> Foreseen[Question] | None:
        """What was read for `key` moments ago; once, so that whoever asks again sees the chain. `now` is of the clock of `read_at`."""
        found = self._kept.pop(key, None)
        return found if found is not None and 0 <= now - found.read_at <= MOST_AGE_SECONDS else None

    def forget(self) -> None:
        """Something was changed, so what was read before may be wrong."""
        self._kept.clear()
