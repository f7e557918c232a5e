"""Solana PubSub: tells whoever waits that it is worth looking again. Nothing that it says is believed."""
# Copyright (c) 2026, The nosana.compute contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection and may change without notice.

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from .errors import Unreachable
from .http import is_url
from .websocket import connect, websocket_url

if TYPE_CHECKING:
    from .clock import Clock
    from .websocket import Connect, Connection

_ANSWER_SECONDS = 10.0
_FIRST_DELAY_SECONDS, _LONGEST_DELAY_SECONDS = 1.0, 300.0
# Of an account no byte is wanted, since none would be believed.
_NO_DATA = {"encoding": "base64", "dataSlice": {"offset": 0, "length": 0}, "commitment": "confirmed"}


class Waker(Protocol):
    """How a wait passes the time between two looks."""

    async def wait(self, seconds: float) -> bool:
        """Returns after so many seconds, False, or True as soon as there is a reason to look again."""


@dataclass(frozen=True)
class Sleeper:
    """Without PubSub there is no reason before the time is up."""

    clock: Clock

    async def wait(self, seconds: float) -> bool:
        await self.clock.sleep(seconds)
        return False


@dataclass(frozen=True)
class Subscription:
    """A method of PubSub and its parameters."""

    method: str
    params: list[Any]


def account_changes(key: str) -> Subscription:
    """Whenever an account changes, is created or closed."""
    return Subscription("accountSubscribe", [key, _NO_DATA])


def program_changes(program: str, filters: Sequence[dict[str, Any]]) -> Subscription:
    """Whenever one of a program's accounts that the filters let through is created or changes; that one is closed is not told."""
    return Subscription("programSubscribe", [program, {**_NO_DATA, "filters": list(filters)}])


def pubsub_urls(rpc_urls: Sequence[str]) -> list[str]:
    """Where the nodes at these URLs may have their PubSub: at the same place, as providers have it, or on the next port, as a bare node does.

    A bare node knows no keys, and whoever listens on a next port may be somebody else; so it gets nothing but the host's name.
    """
    found = []
    for url in filter(is_url, rpc_urls):
        found.append(websocket_url(url))
        parts = urlsplit(found[-1])
        if parts.port is not None and parts.port < 65535:
            host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
            found.append(f"{parts.scheme}://{host}:{parts.port + 1}")
    return found


class PubSub:
    """The PubSub of one or several nodes."""

    def __init__(self, rpc_urls: Sequence[str], clock: Clock, connect: Connect = connect) -> None:
        self._urls = pubsub_urls(rpc_urls)
        self._clock = clock
        self._connect = connect

    @asynccontextmanager
    async def watching(self, *subscriptions: Subscription) -> AsyncIterator[Waker]:
        """A waker for as long as the block lasts. Nothing is opened before somebody waits."""
        listener = _Listener(self._urls, subscriptions, self._clock, self._connect)
        try:
            yield listener
        finally:
            await listener.close()


class _Listener:
    """Keeps one connection with its subscriptions up, while it can be had; without it, waiting is sleeping."""

    def __init__(self, urls: Sequence[str], subscriptions: Sequence[Subscription], clock: Clock, connect: Connect) -> None:
        self._urls = urls
        self._subscriptions = subscriptions
        self._clock = clock
        self._connect = connect
        self._moved = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._stood = False

    async def wait(self, seconds: float) -> bool:
        if self._task is None:
            self._task = asyncio.create_task(self._listen())
        moved, slept = asyncio.ensure_future(self._moved.wait()), asyncio.ensure_future(self._clock.sleep(seconds))
        try:
            await asyncio.wait({moved, slept}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            moved.cancel()
            slept.cancel()
        woken = self._moved.is_set()
        self._moved.clear()
        return woken

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _listen(self) -> None:
        delay = _FIRST_DELAY_SECONDS
        while True:
            for url in self._urls:
                self._stood = False
                try:
                    async with self._connect(url) as connection:
                        await self._subscribed(connection)
                except Exception:  # whatever goes wrong here must not touch the wait, which goes on by itself
                    pass
                if self._stood:  # it broke off, and what it had to say next is lost
                    delay = _FIRST_DELAY_SECONDS
                    self._moved.set()
                    break
            await self._clock.sleep(delay * (0.5 + self._clock.random()))
            delay = min(delay * 2, _LONGEST_DELAY_SECONDS)

    async def _subscribed(self, connection: Connection) -> None:
        """Subscribes, and listens until the connection is over."""
        for number, wanted in enumerate(self._subscriptions):
            await connection.send(json.dumps({"jsonrpc": "2.0", "id": number, "method": wanted.method, "params": wanted.params}))
        open_questions, subscribed = set(range(len(self._subscriptions))), set()
        async with asyncio.timeout(_ANSWER_SECONDS):
            while open_questions:
                answer = _parsed(await connection.recv())
                if answer.get("id") in open_questions:
                    open_questions.remove(answer["id"])
                    subscribed |= {answer["result"]} if isinstance(answer.get("result"), int) else set()
        if not subscribed:
            raise Unreachable("The node has no PubSub.")
        self._stood = True
        self._moved.set()  # something may have moved since the last look
        while True:
            params = _parsed(await connection.recv()).get("params")
            if isinstance(params, dict) and params.get("subscription") in subscribed:
                self._moved.set()


def _parsed(message: str | bytes) -> dict[str, Any]:
    value = json.loads(message)
    return value if isinstance(value, dict) else {}
