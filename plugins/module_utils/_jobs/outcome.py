"""What a run of the job service did and saw."""
# Copyright (c) 2026, The nosana.compute contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection and may change without notice.

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .apply import BalanceChange, Done

if TYPE_CHECKING:
    from .._clients.errors import NosanaError
    from .apply import Draft, Receipt


@dataclass
class Outcome:
    """What a run did and saw. `failure` is set instead of raised, so that what was already done is never lost from the result.

    refused: a draft and the signature with which it was sent in vain.
    """

    changed: bool = False
    job: dict[str, Any] | None = None
    actions: list[Done] = field(default_factory=list)
    balance_change: BalanceChange | None = field(default_factory=BalanceChange)
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    failure: NosanaError | None = None
    refused: tuple[Draft, str] | None = None

    def add(self, receipt: Receipt) -> None:
        """Something was done."""
        self.changed = True
        self.actions += receipt.done
        self.warn(receipt.warnings)
        self.spend(receipt.change)

    def spend(self, change: BalanceChange | None) -> None:
        """None, where the ledger could not be asked, makes the whole unknown."""
        self.balance_change = None if self.balance_change is None or change is None else self.balance_change + change

    def warn(self, sentences: Sequence[str]) -> None:
        """Says each sentence once."""
        self.warnings += [sentence for sentence in sentences if sentence not in self.warnings]


def together(earlier: Outcome | None, now: Outcome) -> Outcome:
    """What an earlier round turned out to have done, with what this one did; the diff is that of the round that did it."""
    if earlier is None:
        return now
    if earlier.actions:
        now.changed = True
        now.actions = [*earlier.actions, *now.actions]
        now.before, now.after = earlier.before, earlier.after
    now.warn(earlier.warnings)
    now.spend(earlier.balance_change)
    return now
