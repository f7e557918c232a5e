"""What an earlier run learned of a name, kept in the cache; it saves requests and is never believed unchecked."""
# Copyright (c) 2026, The nosana.compute contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection and may change without notice.

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .._clients.rest import is_address

if TYPE_CHECKING:
    from .._clients.networks import Network
    from .cache import Cache
    from .identity import Identity
    from .observation import Observation

MOST_GENERATIONS = 1_000_000


@dataclass(frozen=True)
class Hint:
    """How many jobs the name had, and the active one's run and market; each part is checked before it is believed."""

    generations: int = 0
    run: str | None = None
    market: str | None = None


class Hints:
    """Hints of all names of one network."""

    def __init__(self, cache: Cache, network: Network) -> None:
        self._cache = cache
        self._network = network

    def of(self, identity: Identity) -> Hint:
        """Of a name that nobody remembers: that it never had a job."""
        key = self._key(identity)
        facts = self._cache.get([key]).get(key)
        facts = facts if isinstance(facts, dict) else {}
        generations, run, market = facts.get("generations"), facts.get("run"), facts.get("market")
        return Hint(
            generations if isinstance(generations, int) and 0 <= generations <= MOST_GENERATIONS else 0,
            run if is_address(run) else None,
            market if is_address(market) else None,
        )

    def _key(self, identity: Identity) -> str:
        """The local network has the program of mainnet, so its addresses are the same."""
        return f"name:{self._network.name}:{identity.address(0)}"

    def remember(self, seen: Observation) -> None:
        """Keeps what the next run may begin with."""
        derived = [job for job in seen.jobs if job.generation is not None]
        active = next((job for job in derived if job.active), None)
        generations = seen.generation or max((job.generation + 1 for job in derived if job.generation is not None), default=0)
        facts = {
            "generations": generations,
            "run": active.run_address if active else None,
            "market": active.account.market if active else None,
        }
        key = self._key(seen.identity)
        if self._cache.get([key]).get(key) != facts:
            self._cache.put({key: facts})
