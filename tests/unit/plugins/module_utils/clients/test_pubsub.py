"""PubSub wakes and decides nothing: whatever a node says or does, a wait goes on, and ends when its time is up."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from ansible_collections.nosana.compute.plugins.module_utils._clients.pubsub import PubSub, Waker, account_changes, pubsub_urls

KEY = "7AtiXMSH6R1jjBxrcYjehCkkSF7zvYWte63gwEDBcGHq"
LONG, NEVER = 3600.0, 0.05
ANSWER = json.dumps({"jsonrpc": "2.0", "id": 0, "result": 23})
NOTIFICATION = json.dumps({"jsonrpc": "2.0", "method": "accountNotification", "params": {"result": None, "subscription": 23}})


class Clock:
    """Real, but for pauses between connections, which are short."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds if seconds in (LONG, NEVER) else 0)

    def random(self) -> float:
        return 0.5


class Node:
    """A server that has one conversation after another: what it says in each, after which the connection breaks off or falls silent."""

    def __init__(self, *conversations: list[str], silent: bool = True) -> None:
        self.conversations, self.silent = list(conversations), silent
        self.opened: list[str] = []
        self.asked: list[Any] = []
        self.open = 0

    @asynccontextmanager
    async def connect(self, url: str) -> AsyncIterator[Any]:
        self.opened.append(url)
        await asyncio.sleep(0)
        if not self.conversations:
            raise OSError("connection refused")
        self._says = self.conversations.pop(0)
        self.open += 1
        try:
            yield self
        finally:
            self.open -= 1

    async def send(self, message: str) -> None:
        self.asked.append(json.loads(message))

    async def recv(self) -> str:
        await asyncio.sleep(0)
        if self._says:
            return self._says.pop(0)
        if self.silent and not self.conversations:
            await asyncio.sleep(LONG)
        await asyncio.sleep(NEVER / 2)
        raise ConnectionError("broke off")


def woken(node: Node, *waits: float) -> list[bool]:
    """Whether each of these waits was cut short."""

    async def run() -> list[bool]:
        async with PubSub(["http://node.example/?key=1"], Clock(), node.connect).watching(account_changes(KEY)) as waker:
            assert node.opened == []  # who does not wait opens nothing
            return [await _bounded(waker, seconds) for seconds in waits]

    answer = asyncio.run(run())
    assert node.open == 0
    return answer


async def _bounded(waker: Waker, seconds: float) -> bool:
    async with asyncio.timeout(20):
        return await waker.wait(seconds)


def test_a_subscription_and_each_notification_wake() -> None:
    node = Node([ANSWER, NOTIFICATION])
    assert woken(node, LONG)
    assert woken(Node([ANSWER]), LONG, NEVER) == [True, False]
    assert node.opened == ["ws://node.example/?key=1"]
    (asked,) = node.asked
    assert (asked["method"], asked["params"][0]) == ("accountSubscribe", KEY)
    assert asked["params"][1]["dataSlice"]["length"] == 0
    assert asked["params"][1]["commitment"] == "confirmed"


class Later(Node):
    """Says everything but its answer a little later."""

    async def recv(self) -> str:
        if self._says and self._says[0] != ANSWER:
            await asyncio.sleep(NEVER / 5)
        return await super().recv()


def test_what_comes_later_wakes_later() -> None:
    assert woken(Later([ANSWER, NOTIFICATION]), LONG, LONG) == [True, True]


@pytest.mark.parametrize(
    "says",
    [
        [],
        ["no JSON"],
        ["[]", "7", "null", "{}"],
        [json.dumps({"id": [], "result": 1})],
        [json.dumps({"jsonrpc": "2.0", "id": 0, "error": {"code": -32601, "message": "Method not found"}})],
        [json.dumps({"jsonrpc": "2.0", "id": 0, "result": "yes"})],
        [NOTIFICATION, NOTIFICATION],
        ["[" * 50_000],
    ],
    ids=lambda says: "".join(says)[:40],
)
def test_a_node_without_a_usable_pubsub_wakes_nobody(says: list[str]) -> None:
    assert woken(Node(says), NEVER) == [False]


@pytest.mark.parametrize("said", ["{}", "[]", NOTIFICATION.replace("23", "24"), json.dumps({"params": []}), json.dumps({"params": {}})])
def test_what_is_no_notification_of_ours_wakes_nobody(said: str) -> None:
    assert woken(Later([ANSWER, said]), LONG, NEVER) == [True, False]


def test_a_connection_that_broke_off_wakes_and_is_made_anew() -> None:
    node = Node([ANSWER], [ANSWER, NOTIFICATION])
    assert woken(node, LONG)
    assert woken(Node([ANSWER], silent=False), LONG, LONG, NEVER) == [True, True, False]
    node = Node(["rubbish"], ["rubbish"], [ANSWER])
    assert woken(node, LONG) == [True]
    assert len(node.opened) == 3


def test_where_pubsub_may_be() -> None:
    assert pubsub_urls(["https://rpc.example/v1?key=abc"]) == ["wss://rpc.example/v1?key=abc"]
    assert pubsub_urls(["http://127.0.0.1:8899"]) == ["ws://127.0.0.1:8899", "ws://127.0.0.1:8900"]
    assert pubsub_urls(["http://[::1]:8899/"]) == ["ws://[::1]:8899/", "ws://[::1]:8900"]
    assert pubsub_urls(["http://a:65535", "https://b"]) == ["ws://a:65535", "wss://b"]


def test_the_next_port_may_be_somebody_elses_and_learns_no_key() -> None:
    assert pubsub_urls(["https://me:secret@rpc.example:8899/secret?key=secret"])[1] == "wss://rpc.example:8900"


@pytest.mark.parametrize("url", ["no url", "http://", "http://a:b", "http://[", "ftp://a:1", ""])
def test_an_address_that_is_none_is_for_others_to_complain_of(url: str) -> None:
    assert isinstance(pubsub_urls([url]), list)
