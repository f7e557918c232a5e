"""Round trips of the collection: what it asks together is one, however long each of the answers takes."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from ansible_collections.nosana.compute.plugins.module_utils._clients.http import Http, Response

_TURNS = 100  # of the event loop: after so many, everything that is asked together has been asked
SEND = "sendTransaction"


@dataclass
class _Batch:
    """Requests that go out together, once all answers to the requests before them are there."""

    kinds: list[str] = field(default_factory=list)
    answered: int = 0
    go: asyncio.Event = field(default_factory=asyncio.Event)
    done: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass
class Waves:
    """The kinds of the requests, by round trip."""

    trips: list[list[str]] = field(default_factory=list)

    @property
    def counts(self) -> Counter[str]:
        """Requests by kind."""
        return Counter(kind for trip in self.trips for kind in trip)

    @property
    def rpc(self) -> int:
        """Requests to the RPC node."""
        return sum(number for kind, number in self.counts.items() if kind not in ("markets", "pin", "read"))

    @property
    def before_confirmation(self) -> int:
        """Round trips up to the sending of the transaction; all, where none is sent."""
        sending = [number for number, trip in enumerate(self.trips, 1) if SEND in trip]
        return sending[0] if sending else len(self.trips)


def kind_of(url: str, body: bytes | None) -> str:
    """The method of JSON-RPC, or else "markets", "pin" or "read" (of IPFS)."""
    for part, kind in (("/ipfs/", "read"), ("/pinning/", "pin"), ("/api/markets", "markets")):
        if part in url:
            return kind
    return str(json.loads(body or b"{}")["method"])


@contextmanager
def counting() -> Iterator[Waves]:
    """Counts what one run of the collection asks within the block."""
    waves = Waves()
    request: Callable[..., Any] = vars(Http)["request"]
    waiting: list[_Batch] = []
    under_way: list[_Batch] = []

    async def release(batch: _Batch) -> None:
        if under_way:
            await under_way[-1].done.wait()
        for _turn in range(_TURNS):
            await asyncio.sleep(0)
        waiting.remove(batch)
        under_way.append(batch)
        waves.trips.append(batch.kinds)
        batch.go.set()

    async def counted(http: Http, method: str, url: str, read: Callable[[Response], Any], **more: Any) -> Any:
        if not waiting:
            waiting.append(_Batch())
            released.add(asyncio.ensure_future(release(waiting[0])))
        batch = waiting[0]
        batch.kinds.append(kind_of(url, more.get("content")))
        await batch.go.wait()
        try:
            return await request(http, method, url, read, **more)
        finally:
            batch.answered += 1
            if batch.answered == len(batch.kinds):
                batch.done.set()

    released: set[asyncio.Future[None]] = set()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Http, "request", counted)
        yield waves
