"""Several servers for one question: the next one answers when one is down, refuses or lacks; one of another chain is never believed."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from ansible_collections.nosana.compute.plugins.module_utils._clients.errors import (
    NotFound,
    ProgramError,
    Refused,
    UnexpectedAnswer,
    Unreachable,
)
from ansible_collections.nosana.compute.plugins.module_utils._clients.http import Http
from ansible_collections.nosana.compute.plugins.module_utils._clients.ipfs import Ipfs, cid_of
from ansible_collections.nosana.compute.plugins.module_utils._clients.rpc import Rpc

KEY = "9C6hybhQ6Aycep9jaUnP6uL9ZYvDjUp1aSkFWPUFJtpj"
CHAIN, OTHER_CHAIN = "chain", "other"
Answer = "httpx.Response | Exception"


class Clock:
    """Never sleeps, and knows how long it should have."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> float:
        return self.seconds

    monotonic = now

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds

    def random(self) -> float:
        return 0.5


class Nodes:
    """RPC nodes by host name: each says which chain it serves, and how it answers everything else."""

    def __init__(self, **nodes: Any) -> None:
        self.nodes = nodes
        self.genesis = dict.fromkeys(nodes, CHAIN)
        self.asked: list[tuple[str, str]] = []
        self.clock = Clock()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        host = request.url.host.partition(".")[0]
        method = json.loads(request.content)["method"]
        self.asked.append((host, method))
        answer = self.nodes[host]
        if callable(answer):
            answer = answer()
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, httpx.Response):
            return answer
        result = {"result": self.genesis[host]} if method == "getGenesisHash" else answer
        return httpx.Response(200, json={"jsonrpc": "2.0", "id": 1, **result})

    def run(self, ask: Callable[[Rpc], Awaitable[Any]], *, genesis_hash: str | None = CHAIN) -> Any:
        async def inside() -> Any:
            async with Http(self.clock, transport=httpx.MockTransport(self)) as http:
                return await ask(Rpc(http, [f"http://{host}.example/secret-path" for host in self.nodes], genesis_hash=genesis_hash))

        return asyncio.run(inside())


DOWN = httpx.ConnectError("down")


def five() -> dict[str, Any]:
    return {"result": {"absoluteSlot": 7, "blockHeight": 5}}


async def height(rpc: Rpc) -> int:
    return (await rpc.get_height())[1]


@pytest.mark.parametrize(
    "first",
    [DOWN, httpx.Response(503), httpx.Response(429), httpx.Response(403), httpx.Response(200, text="<html>"), {"error": {"code": -32010}}],
    ids=["down", "503", "429", "403", "html", "refused"],
)
def test_the_next_node_answers(first: Any) -> None:
    nodes = Nodes(one=first, two=five())
    assert nodes.run(height) == 5
    assert nodes.clock.seconds == 0


def test_a_node_that_failed_is_asked_last_from_then_on() -> None:
    nodes = Nodes(one=DOWN, two=five())

    async def twice(rpc: Rpc) -> None:
        await rpc.get_height()
        await rpc.get_height()

    nodes.run(twice)
    assert [host for host, method in nodes.asked if method == "getEpochInfo"] == ["one", "two", "two"]


def test_a_node_that_is_lost_after_it_said_which_chain_it_serves_is_stood_in_for() -> None:
    """A local network's chain is known from nowhere else, so it is remembered."""
    nodes = Nodes(one=five(), two=five())

    async def lose(rpc: Rpc) -> int:
        await rpc.get_genesis_hash()
        nodes.nodes["one"] = DOWN
        return await height(rpc)

    assert nodes.run(lose, genesis_hash=None) == 5


def test_a_node_of_another_chain_does_not_stand_in() -> None:
    nodes = Nodes(one=DOWN, two=five())
    nodes.genesis["two"] = OTHER_CHAIN
    with pytest.raises(UnexpectedAnswer, match=r"two\.example serves another chain"):
        nodes.run(height)
    assert ("two", "getEpochInfo") not in nodes.asked


def test_all_that_were_tried_stand_in_one_sentence_without_their_keys() -> None:
    nodes = Nodes(one=DOWN, two=httpx.Response(503))
    with pytest.raises(Unreachable) as caught:
        nodes.run(height)
    message = str(caught.value)
    assert "one.example (connection failed), two.example (HTTP 503)" in message
    assert "secret-path" not in message
    assert nodes.clock.seconds < 10


def test_a_refusal_says_more_than_an_outage() -> None:
    with pytest.raises(Refused, match="-32010"):
        Nodes(one=DOWN, two={"error": {"code": -32010, "message": "no"}}).run(height)


def test_what_a_node_says_of_a_transaction_is_the_answer() -> None:
    failed = {"error": {"code": -32002, "message": "failed", "data": {"err": {"InstructionError": [0, {"Custom": 3012}]}, "logs": []}}}
    nodes = Nodes(one=failed, two=five())
    with pytest.raises(ProgramError):
        nodes.run(lambda rpc: rpc.send_transaction(b"x", action="x"))
    assert [host for host, _method in nodes.asked] == ["one"]


def test_a_transaction_is_sent_again_to_all() -> None:
    nodes = Nodes(one=DOWN, two={"result": "signature"})

    async def ask(rpc: Rpc) -> None:
        await rpc.send_transaction(b"x", action="x")
        nodes.asked.clear()
        assert await rpc.send_transaction(b"x", action="x", everywhere=True) is None

    nodes.run(ask)
    assert {host for host, _method in nodes.asked} == {"one", "two"}


def test_one_node_is_asked_as_if_there_were_no_list() -> None:
    nodes = Nodes(one=five())
    assert nodes.run(height) == 5
    assert nodes.asked == [("one", "getEpochInfo")]


def test_a_run_among_broken_servers_comes_to_its_end() -> None:
    nodes = Nodes(one=httpx.Response(503, headers={"Retry-After": "3600"}))

    async def many(rpc: Rpc) -> None:
        for _question in range(100):
            with pytest.raises(Unreachable):
                await rpc.get_height()

    nodes.run(many)
    assert nodes.clock.seconds < 300


def fetch(*answers: Any, asked: list[int] | None = None) -> Any:
    """Each gateway's answer; of several in a list the next one each time, and the last one for ever."""
    cid = cid_of(b"{}")

    def answer(request: httpx.Request) -> httpx.Response:
        number = int(request.url.host.partition(".")[0])
        if asked is not None:
            asked.append(number)
        found = answers[number]
        if isinstance(found, list):
            found = found.pop(0) if len(found) > 1 else found[0]
        if isinstance(found, Exception):
            raise found
        return found  # type: ignore[no-any-return]

    async def inside() -> Any:
        async with Http(Clock(), transport=httpx.MockTransport(answer)) as http:
            return await Ipfs(http, "http://pin.example/", [f"http://{number}.example/ipfs" for number in range(len(answers))], None).fetch(
                cid
            )

    return asyncio.run(inside())


@pytest.mark.parametrize(
    "first",
    [DOWN, httpx.Response(404), httpx.Response(401), httpx.Response(200, text="<html>"), httpx.Response(500)],
    ids=["down", "404", "401", "wrong content", "500"],
)
def test_the_next_gateway_has_the_content(first: Any) -> None:
    assert fetch(first, httpx.Response(200, content=b"{}")) == b"{}"


HTML, RIGHT = httpx.Response(200, text="<html>"), httpx.Response(200, content=b"{}")


@pytest.mark.parametrize(
    "wrong", [HTML, httpx.Response(200, content=b""), httpx.Response(200, content=b"[]")], ids=["html", "cut", "other"]
)
def test_what_a_gateway_got_wrong_is_read_again(wrong: httpx.Response) -> None:
    assert fetch([wrong, wrong, RIGHT]) == b"{}"


def test_another_gateway_is_asked_before_the_same_one_again() -> None:
    asked: list[int] = []
    assert fetch([HTML, RIGHT], HTML, asked=asked) == b"{}"
    assert asked == [0, 1, 0]


@pytest.mark.parametrize("gateways", [1, 2])
def test_what_all_gateways_get_wrong_is_never_used(gateways: int) -> None:
    asked: list[int] = []
    with pytest.raises(UnexpectedAnswer, match="something else than the content Qm"):
        fetch(*[HTML] * gateways, asked=asked)
    assert len(asked) == {1: 5, 2: 6}[gateways]


def test_what_no_gateway_has_is_not_found() -> None:
    with pytest.raises(NotFound):
        fetch(DOWN, httpx.Response(404))
