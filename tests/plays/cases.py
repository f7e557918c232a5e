"""Which faults a play meets, in which scene, and how it must end. Every kind of the local network's own table has to be here."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Scene = Literal["post", "slug", "unchanged", "replace", "complete"]
HOST_MARKET, EMPTY_MARKET = "nvidia-3060", "nvidia-3090"

# In so many seconds a play has ended, on a machine that has other things to do as well. Alone it takes a few.
SOON = 90
# One attempt is given 30 s; one of five that hangs, and all five.
ONE_HANGS, ALL_HANG = 150, 300
# A transaction is given up when its blockhash is too old, which is after a minute and a bit.
EXPIRY = 200


@dataclass(frozen=True, eq=False)
class Case:
    """One fault alone.

    scene: what the play does (`test_plays.py`). rule: the fault's, beside its kind; with a count it heals by itself.
    ends: "ok", or the failure.code of the play. seconds: in so many it must have ended. changes: so many tasks say that they changed
    something until all is as wanted. answers: what its sentence tells to do first, as options of the same play. met: whether the
    collection meets such a fault at all. quick: part of `make test`.
    """

    kind: str
    scene: Scene
    ends: str
    seconds: int = SOON
    rule: Mapping[str, Any] = field(default_factory=dict)
    changes: int = 1
    answers: tuple[Mapping[str, Any], ...] = ()
    met: bool = True
    quick: bool = False

    @property
    def label(self) -> str:
        """The case in a few words."""
        told = [str(self.rule["target"])] if "target" in self.rule else []
        told += [f"{self.rule['slots']} slots"] if "slots" in self.rule else []
        told += [self.scene, "heals" if "count" in self.rule else "lasts"]
        return f"{self.kind}: {', '.join(told)}"


_BREAKS = ("rate-limited", "server-error", "reset-before", "reset-after", "lost")
_HANGS = ("hang", "hang-before")
_BAD_CONTENT = ("not-found", "cut", "truncated", "wrong-content", "html")
_BAD_RESULT = ("host-not-json", "host-huge", "host-wrong-shape", "host-not-pinned")
_SENDING, _MARKET_LIST = "sendTransaction", "/api/*"

_THE_RPC_NODE = [
    *[Case(kind, "post", "ok", rule={"count": 3}, quick=kind in ("rate-limited", "reset-before")) for kind in _BREAKS],
    *[Case(kind, "post", "unreachable", quick=kind == "server-error") for kind in _BREAKS],
    *[Case(kind, "unchanged", "ok", rule={"count": 3}, changes=0) for kind in _BREAKS],
    *[Case(kind, "unchanged", "unreachable", changes=0) for kind in _BREAKS],
    *[Case(kind, "post", "ok", ONE_HANGS, {"count": 1}, quick=True) for kind in _HANGS],
    *[Case(kind, "post", "unreachable", ALL_HANG) for kind in _HANGS],
    Case("hang", "unchanged", "ok", ONE_HANGS, {"count": 1}, changes=0),
    Case("hang", "unchanged", "unreachable", ALL_HANG, changes=0),
    Case("slow", "post", "ok", rule={"seconds": 2, "count": 3}),
    Case("slow", "post", "ok", rule={"seconds": 0.5}, quick=True),
]

_THE_SENDING = [
    *[Case(kind, "post", "ok", rule={"target": _SENDING, "count": 2}) for kind in _BREAKS],
    *[Case(kind, "post", "ok", rule={"target": _SENDING}, quick=True) for kind in ("reset-after", "lost")],
    *[Case(kind, "post", "transaction_expired", EXPIRY, {"target": _SENDING}) for kind in ("rate-limited", "server-error", "reset-before")],
    Case("hang", "post", "ok", ALL_HANG, {"target": _SENDING}),
    Case("hang-before", "post", "transaction_expired", ALL_HANG, {"target": _SENDING}),
    Case("server-error", "post", "outcome_unknown", rule={"target": "getSignatureStatuses"}, changes=0),
    Case("dropped", "post", "ok", rule={"count": 1}, quick=True),
    Case("dropped", "post", "transaction_expired", EXPIRY),
    Case("late", "post", "ok", quick=True),
    Case("late", "post", "ok", EXPIRY, {"slots": 100}),
    Case("late", "post", "transaction_expired", EXPIRY, {"slots": 500}),  # so late that it can no longer land
    Case("blockhash-expired", "post", "ok", rule={"count": 1}, quick=True),
    Case("blockhash-expired", "post", "transaction_expired", EXPIRY),
    Case("fork", "post", "ok", rule={"count": 1}, changes=2, quick=True),  # the play has seen the job; it is undone after that
    Case("fork", "post", "ok", changes=2),
]

_WHAT_A_NODE_SAYS = [
    Case("stale", "post", "ok", rule={"count": 4}),
    Case("stale", "post", "ok", quick=True),
    Case("stale", "unchanged", "ok", rule={"count": 4}, changes=0),
    Case("stale", "unchanged", "ok", changes=0),
    Case("stale", "unchanged", "ok", rule={"slots": 30}, changes=0),  # from before the job was posted
    Case("unknown-signature", "post", "ok", rule={"count": 4}),
    Case("unknown-signature", "post", "ok", quick=True),
    Case("unknown-signature", "post", "outcome_unknown", EXPIRY, {"slots": 10_000}, changes=0),
    *[Case(kind, "post", "ok", rule={"count": 1}) for kind in ("forbidden", "refused", "missing-accounts")],
    *[Case(kind, "post", "ok", quick=True) for kind in ("forbidden", "refused", "missing-accounts")],
    *[Case(kind, "unchanged", "ok", changes=0, met=False) for kind in ("forbidden", "refused", "missing-accounts")],
    *[Case(kind, "complete", "ok", met=False, quick=True) for kind in ("pubsub-silent", "pubsub-drop")],
]

_IPFS = [
    Case("unauthorized", "post", "refused", rule={"count": 1}),
    Case("unauthorized", "post", "refused", quick=True),
    *[Case(kind, "post", "unreachable", rule={"target": "/pinning/*"}) for kind in ("server-error", "reset-before", "lost")],
    Case("unpinned", "post", "ok"),
    Case("unpinned", "complete", "wait_timeout", changes=3, answers=({"state": "absent"},), quick=True),
    *[Case(kind, "complete", "ok", rule={"count": 2}, quick=kind in ("cut", "html")) for kind in _BAD_CONTENT],
    *[Case(kind, "complete", "wait_timeout", quick=kind == "not-found") for kind in _BAD_CONTENT],
    Case("not-found", "replace", "not_found"),
    Case("cut", "replace", "unreachable"),
    Case("truncated", "replace", "unexpected_answer", quick=True),
    Case("wrong-content", "replace", "unexpected_answer", quick=True),
    Case("html", "replace", "unexpected_answer"),
    Case("cut", "replace", "ok", rule={"count": 1}),
]

_MARKETS = [
    Case("garbage", "slug", "ok", rule={"count": 1}),
    Case("garbage", "slug", "unexpected_answer", quick=True),
    *[Case(kind, "slug", "unreachable", rule={"target": _MARKET_LIST}) for kind in ("server-error", "rate-limited")],
    Case("html", "slug", "unexpected_answer", rule={"target": _MARKET_LIST}),
    Case("price", "slug", "ok", rule={"market": EMPTY_MARKET, "price": 1000, "count": 1}, quick=True),
    Case("queue-full", "slug", "program_error", rule={"market": EMPTY_MARKET}, quick=True),
    Case("market-closed", "slug", "not_found", rule={"market": EMPTY_MARKET}, quick=True),
]

_HOSTS = [
    *[Case(kind, "complete", "wait_timeout", quick=True) for kind in ("host-crash", "host-never-finish")],
    Case("host-quit", "complete", "job_failed", changes=2, quick=True),
    *[Case(kind, "complete", "wait_timeout", changes=2, answers=({}, {"rerun": "finished"}), quick=True) for kind in _BAD_RESULT],
]

CASES = [*_THE_RPC_NODE, *_THE_SENDING, *_WHAT_A_NODE_SAYS, *_IPFS, *_MARKETS, *_HOSTS]
