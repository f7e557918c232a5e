"""The past of a name: which generations were used, and what became of those whose accounts are gone; reads only."""
# Copyright (c) 2026, The nosana.compute contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection and may change without notice.

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from .._clients.errors import HistoryUnavailable, Moved, UnexpectedAnswer
from .hints import MOST_GENERATIONS
from .history import CLOSED_BY, ended_by_owner, read_fate
from .observation import ObservedJob

if TYPE_CHECKING:
    from .._clients.networks import Network
    from .._clients.rpc import Rpc
    from .cache import Cache
    from .identity import Identity
    from .observation import Observation

Past = Literal["strict", "lenient", "accounts"]
"""How the past is asked about: "strict" before money may be spent: what cannot be known is an error; "lenient" takes an unknown past for none;
"accounts" looks at no past at all, and counts only what still has an account.
"""

# One getMultipleAccounts takes 100 keys; 16 generations are 32 of them, and more than a name has jobs in most lives.
WINDOW = 16
_MOST_SIGNATURES = 1000


class Generations:
    """Reads the histories of derived addresses."""

    def __init__(self, rpc: Rpc, network: Network, cache: Cache) -> None:
        self._rpc = rpc
        self._network = network
        self._cache = cache

    async def next_unused(self, seen: Observation, *, strict: bool) -> tuple[int, bool]:
        """The first generation that was never used: no account and no signature in the address's history; and whether what an earlier run
        has learned still holds.

        Generations are used in order, so a doubling step and then halving finds it in few requests.
        """
        used = seen.expected - 1
        last, next_one = await asyncio.gather(self._was_used(seen, used), self._was_used(seen, used + 1))
        if last and not next_one:
            return used + 1, True
        if not last:
            if strict and self._network.genesis_hash is not None:
                raise _without_history(seen.identity.name, seen.identity.address(used))
            # A local network that was begun anew.
            used = max((job.generation for job in seen.jobs if job.generation is not None), default=-1)
        step, unused = 1, used + 1
        while await self._was_used(seen, unused):
            used, unused, step = unused, unused + step, step * 2
            if unused > MOST_GENERATIONS:
                raise UnexpectedAnswer(
                    f"The RPC node says that {used} jobs of the name {seen.identity.name} were posted, which cannot be true."
                )
        while unused - used > 1:
            middle = (used + unused) // 2
            if await self._was_used(seen, middle):
                used = middle
            else:
                unused = middle
        return unused, last

    async def _was_used(self, seen: Observation, generation: int) -> bool:
        if generation < 0 or any(job.generation == generation for job in seen.jobs):
            return True
        address = seen.identity.address(generation)
        if await self._rpc.get_signatures_for_address(address, limit=1):
            return True
        # A node without the old history may still hold the account; inside the window that was asked already.
        return generation not in seen.window and await self._rpc.get_account(address) is not None

    async def latest(self, seen: Observation, past: Past) -> ObservedJob | None:
        """The newest job of the name that is over; None when there was none, or when the newest was removed. `past`: see :data:`Past`."""
        by_generation = {job.generation: job for job in seen.jobs}
        for generation in reversed(range(max(0, (seen.generation or 0) - WINDOW), seen.generation or 0)):
            if generation in by_generation:
                return by_generation[generation]
            try:
                job, existed = await self._past(seen.identity, generation)
            except HistoryUnavailable:
                if past == "strict":
                    raise
                return None
            if existed:
                return job
        return None

    async def was_ended(self, job: ObservedJob) -> bool:
        """Whether a job that is over was ended by its owner. A host may say so in its result; the chain's history proves it, and for ever."""
        key = f"ended:{self._network.name}:{job.address}:{job.result_cid}"
        known = self._cache.get([key]).get(key)
        if isinstance(known, bool):
            return known
        ended = await ended_by_owner(self._rpc.get_transaction, self._network.jobs_program, job.address, await self._history(job.address))
        if ended is not None:
            self._cache.put({key: ended})
        return ended is True

    async def _history(self, address: str) -> list[str]:
        """Signatures of the successful transactions that named an address, newest first."""
        found = await self._rpc.get_signatures_for_address(address, limit=_MOST_SIGNATURES)
        return [entry.signature for entry in found if entry.succeeded]

    async def _past(self, identity: Identity, generation: int) -> tuple[ObservedJob | None, bool]:
        """What became of a job whose account is gone, and whether it ever existed: None when its owner removed it.

        A job that is over and whose account was closed afterwards (clean) is still over: it is not paid for again.
        """
        address = identity.address(generation)
        signatures = await self._history(address)
        if not signatures:
            return None, False
        fate = await read_fate(self._rpc.get_transaction, self._network.jobs_program, address, signatures)
        if fate is None:
            account = await self._rpc.get_account(address)
            if account is not None and account.owner == self._network.jobs_program:
                raise just_appeared(address)  # it was not there yet when the addresses were looked at
            raise _without_history(identity.name, address)
        if fate.last not in CLOSED_BY:
            raise just_appeared(address)
        if fate.job is None or fate.ended:
            return None, True
        begun = 0
        if fate.run is not None:
            # The run's account was created when the host took the job, and is named again when it was over.
            entries = await self._rpc.get_signatures_for_address(fate.run, limit=_MOST_SIGNATURES)
            begun = min((entry.time for entry in entries if entry.time and entry.succeeded), default=0)
        return ObservedJob(address, replace(fate.job, time_start=begun), generation, closed=True), True


def _without_history(name: str, address: str) -> HistoryUnavailable:
    return HistoryUnavailable(
        f"A job {name} existed at {address} and its account is gone, and the RPC node does not have the transactions that would tell "
        "whether it was removed or is over, so nothing is posted; set rpc_url to a node with the full history, or rerun=finished to run it "
        "anew in any case."
    )


def just_appeared(address: str) -> Moved:
    """The error of a job that was not there a moment ago."""
    return Moved(f"The job {address} appeared while it was looked for; run the task again.")
