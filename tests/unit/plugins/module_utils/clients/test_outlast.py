"""Waiting until nothing older can land any more: as long as a blockhash lives, by blocks, and no longer."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from ansible_collections.nosana.compute.plugins.module_utils._clients.errors import Unreachable
from ansible_collections.nosana.compute.plugins.module_utils._clients.transaction import Sender

SLOT, HEIGHT = 1_000, 900
SLOT_SECONDS, BLOCKHASH_BLOCKS = 0.4, 150
# A node's history may lag behind its blocks: whoever looked at it was told what was so many blocks ago.
LAG_BLOCKS = 20


@dataclass
class Node:
    """A chain whose slots pass while somebody sleeps; a share of them has no block. It is the clock, too."""

    slots_later: int
    skipped: float = 0.0
    tells_heights: bool = True
    stands_still: bool = False
    slept: list[float] = field(default_factory=list)
    not_before_slot: int = 0
    asked: list[str] = field(default_factory=list)

    @property
    def reached(self) -> tuple[int, int]:
        passed = 0 if self.stands_still else self.slots_later + round(sum(self.slept) / SLOT_SECONDS)
        return SLOT + passed, HEIGHT + int(passed * (1 - self.skipped))

    async def get_height(self) -> tuple[int, int]:
        self.asked.append("height")
        return self.reached

    async def get_block_height(self, slot: int) -> int | None:
        self.asked.append("block")
        assert slot == SLOT
        return HEIGHT if self.tells_heights else None

    def not_before(self, slot: int) -> None:
        self.not_before_slot = slot

    def monotonic(self) -> float:
        return sum(self.slept)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


def outlast(node: Node, *, seen: int = 0) -> tuple[bool, list[float]]:
    """Whether it had to wait, and what was foretold."""
    foretold: list[float] = []
    sender = Sender(node, node)  # type: ignore[arg-type]
    return asyncio.run(sender.outlast(SLOT, SLOT + seen, foretold.append)), foretold


@pytest.mark.parametrize("skipped", [0.0, 0.2, 0.55])
@pytest.mark.parametrize("slots_later", [0, 1, 75, 170])
def test_a_young_slot_is_outlasted_by_as_many_blocks_as_a_blockhash_lives(slots_later: int, skipped: float) -> None:
    node = Node(slots_later, skipped)
    waited, foretold = outlast(node)
    slot, height = node.reached
    assert waited
    assert height > HEIGHT + BLOCKHASH_BLOCKS + LAG_BLOCKS
    assert sum(node.slept) <= (BLOCKHASH_BLOCKS + LAG_BLOCKS) * SLOT_SECONDS / (1 - skipped) + 10
    assert len(foretold) == 1
    assert node.not_before_slot == slot  # what is read next has seen all that landed


@pytest.mark.parametrize(("slots_later", "asked"), [(171, ["height", "block"]), (340, ["height", "block"]), (341, []), (10**6, [])])
def test_what_is_old_is_not_waited_for(slots_later: int, asked: list[str]) -> None:
    node = Node(slots_later)
    assert outlast(node, seen=slots_later) == (False, [])
    assert (node.slept, node.asked) == ([], asked)


def test_a_node_that_does_not_tell_heights_is_given_twice_the_time() -> None:
    node = Node(100, tells_heights=False)
    assert outlast(node)[0]
    twice = 2 * (BLOCKHASH_BLOCKS + LAG_BLOCKS)
    assert SLOT + twice < node.reached[0] < SLOT + twice + 10


def test_a_chain_that_stands_still_is_not_waited_for_for_ever() -> None:
    node = Node(0, stands_still=True)
    with pytest.raises(Unreachable, match=r"stands still at 900; set rpc_url or NOSANA_RPC_URL"):
        outlast(node)
    assert sum(node.slept) < 300
