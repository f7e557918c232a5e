"""Which faults a simulated network has, how probable each is, and how often each came."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field

READS = frozenset(
    {
        "getMultipleAccounts",
        "getProgramAccounts",
        "getSignaturesForAddress",
        "getSignatureStatuses",
        "getTransaction",
        "getBlockHeight",
        "getLatestBlockhash",
        "simulateTransaction",
        "sendTransaction",
    }
)
_EVERYWHERE = None

# Fault → the requests that it may befall (None: all), and how much of the intensity is its own.
KINDS: dict[str, tuple[frozenset[str] | None, float]] = {
    "reset": (_EVERYWHERE, 1.0),  # the connection breaks before the request is processed
    "answer_lost": (_EVERYWHERE, 1.0),  # and after it was
    "duplicate": (frozenset({"sendTransaction", "pin"}), 2.0),  # the request arrives twice
    "rate_limit": (_EVERYWHERE, 1.0),  # 429
    "rate_limit_wait": (_EVERYWHERE, 0.7),  # 429 with Retry-After
    "server_error": (_EVERYWHERE, 1.0),  # 5xx
    "outage": (_EVERYWHERE, 0.03),  # a server is gone for up to two minutes
    "slow": (_EVERYWHERE, 0.7),  # up to 25 seconds
    "too_slow": (_EVERYWHERE, 0.3),  # processed, and nobody waits for the answer any more
    "garbage": (_EVERYWHERE, 0.5),  # HTML, half an answer, or JSON of another shape, with status 200
    "stale": (READS, 2.0),  # a node that is up to a minute behind
    "dropped": (frozenset({"sendTransaction"}), 4.0),  # accepted, and never lands
    "delayed": (frozenset({"sendTransaction"}), 4.0),  # accepted, and lands up to a minute later
    "fork": (frozenset({"sendTransaction"}), 2.0),  # lands, is confirmed, and some slots later has not happened, nor has what came after it
    "old_blockhash": (frozenset({"getLatestBlockhash"}), 3.0),  # from a proxy's cache: it is about to expire
    "no_search": (frozenset({"getProgramAccounts"}), 1.0),  # refused
    "partial_search": (frozenset({"getProgramAccounts"}), 3.0),  # a list without its end, and no word of it
    "unindexed": (frozenset({"getTransaction", "getSignaturesForAddress"}), 3.0),  # the newest transactions are not there yet
    "unknown": (frozenset({"getSignatureStatuses"}), 2.0),  # a node that has not seen the signature yet
    "not_found": (frozenset({"fetch"}), 3.0),  # the gateway has the content later
    "wrong_content": (frozenset({"fetch"}), 8.0),  # something else under that address
    "truncated": (frozenset({"fetch"}), 1.5),
    "error_page": (frozenset({"fetch", "pin", "api"}), 1.5),  # HTML with status 200
    "lost_pin": (frozenset({"pin"}), 3.0),  # confirmed, and not retrievable
    "gone_pin": (frozenset({"pin"}), 2.5),  # confirmed, shown for a while, and lost for ever unless somebody pins it again
    "unauthorized": (frozenset({"fetch", "pin"}), 0.5),
    "pubsub_silent": (frozenset({"pubsub"}), 12.0),  # a subscription that stands and never tells anything
    "pubsub_drops": (frozenset({"pubsub"}), 12.0),  # a connection that breaks off after a while
}
# What can only be said of other actors; they are counted here too, so that one table tells everything.
ACTORS = (
    "killed",
    "host_crash",
    "host_quit",
    "host_garbage",
    "host_lost_result",
    "host_slow",
    "price_change",
    "market_closed",
    "queue_full",
)
# What tasks ask for and processes have at hand, which is no fault; counted in the same table.
OCCASIONS = ("two_nodes", "two_gateways", "pubsub", "wish", "node", "wait_ready")
OTHERS = ACTORS + OCCASIONS


@dataclass
class Faults:
    """The probabilities of one simulation."""

    random: random.Random
    probability: dict[str, float]
    on: bool = True
    fired: Counter[str] = field(default_factory=Counter)

    def draw(self, request: str) -> str | None:
        """The fault that befalls a request, at most one."""
        if not self.on:
            return None
        for kind, probability in self.probability.items():
            which, _share = KINDS[kind]
            if (which is None or request in which) and self.random.random() < probability:
                self.fired[kind] += 1
                return kind
        return None

    def count(self, kind: str) -> None:
        self.fired[kind] += 1


def profile(chance: random.Random) -> dict[str, float]:
    """How bad a day it is: some days have no faults, some have one kind only and much of it, most have several."""
    day = chance.random()
    if day < 0.05:
        return {}
    if day < 0.30:
        kind = chance.choice(list(KINDS))
        return {kind: 0.01 if kind == "outage" else 1.0 if kind == "no_search" else chance.choice((0.1, 0.3, 0.5))}
    intensity = chance.choice((0.01, 0.02, 0.04, 0.08))
    return {kind: min(0.5, share * intensity) for kind, (_which, share) in KINDS.items() if chance.random() < 0.6}


def even(intensity: float) -> dict[str, float]:
    """Every kind of fault; so great a part of all requests meets one of those that may befall anything."""
    everywhere = sum(share for which, share in KINDS.values() if which is _EVERYWHERE)
    return {kind: intensity * share / everywhere for kind, (_which, share) in KINDS.items()}
