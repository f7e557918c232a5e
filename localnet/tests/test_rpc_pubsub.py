"""PubSub over WebSocket: who hears what, when, and in which shape."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import ClientWebSocketResponse, WSMsgType
from rpc_client import NOON, SOL, Node, pay, running
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from nosana_localnet.ledger import NOS_MINT, TOKEN_PROGRAM, Ledger, token_address

pytestmark = pytest.mark.asyncio
CONFIRMED = {"commitment": "confirmed"}
PROCESSED = {"commitment": "processed"}
NOBODY = str(Pubkey(bytes([7]) * 32))


class Listener:
    """One WebSocket and what it hears."""

    def __init__(self, socket: ClientWebSocketResponse):
        self.socket = socket
        self._ids = itertools.count(1)

    async def ask(self, method: str, *params: Any) -> Any:
        await self.socket.send_json({"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": list(params)})
        return await self.hear()

    async def subscribe(self, method: str, *params: Any) -> int:
        given = await self.ask(method, *params)
        assert isinstance(given.get("result"), int), given
        return int(given["result"])

    async def hear(self) -> Any:
        return await self.socket.receive_json(timeout=5)

    async def told(self, subscription: int) -> Any:
        """The result of the next message, which must be a notification for this subscription."""
        given = await self.hear()
        assert given["params"]["subscription"] == subscription, given
        return given["params"]["result"]


@contextlib.asynccontextmanager
async def listening(ledger: Ledger | None = None) -> AsyncIterator[tuple[Node, Listener]]:
    async with running(ledger) as node, node.session.ws_connect(node.ws_url) as socket:
        yield node, Listener(socket)


async def test_an_account_s_changes_are_told_until_unsubscribed() -> None:
    async with listening() as (node, ws):
        alice, bob = node.funded(), Keypair().pubkey()
        number = await ws.subscribe("accountSubscribe", str(bob), {"encoding": "base64", **CONFIRMED})
        node.ledger.execute([pay(alice, bob, SOL)], [alice])
        assert await ws.told(number) == {
            "context": {"slot": node.ledger.slot},
            "value": {
                "data": ["", "base64"],
                "executable": False,
                "lamports": SOL,
                "owner": "11111111111111111111111111111111",
                "rentEpoch": 2**64 - 1,
                "space": 0,
            },
        }
        assert (await ws.ask("accountUnsubscribe", number))["result"] is True
        node.ledger.execute([pay(alice, bob, SOL)], [alice])
        assert (await ws.ask("ping"))["error"]["code"] == -32601


async def test_a_closed_account_is_told_as_empty() -> None:
    async with listening() as (node, ws):
        alice = node.funded()
        number = await ws.subscribe("accountSubscribe", str(alice.pubkey()), PROCESSED)
        node.ledger.execute([pay(alice, Keypair().pubkey(), 10 * SOL - 5000)], [alice])
        assert (await ws.told(number))["value"]["lamports"] == 0


async def test_a_program_s_accounts_through_filters() -> None:
    async with listening() as (node, ws):
        alice, bob = node.funded(), node.funded()
        filters = [{"memcmp": {"offset": 0, "bytes": str(NOS_MINT)}}, {"memcmp": {"offset": 32, "bytes": str(bob.pubkey())}}]
        options = {"encoding": "jsonParsed", "filters": filters, **CONFIRMED}
        number = await ws.subscribe("programSubscribe", str(TOKEN_PROGRAM), options)
        node.ledger.mint_nos(alice.pubkey(), 1_000_000)
        node.ledger.mint_nos(bob.pubkey(), 2_000_000)
        told = (await ws.told(number))["value"]
        assert told["pubkey"] == str(token_address(bob.pubkey()))
        assert told["account"]["data"]["parsed"]["info"]["tokenAmount"]["uiAmountString"] == "2"


async def test_a_signature_is_told_once_whether_before_or_after() -> None:
    async with listening() as (node, ws):
        alice, bob = node.funded(), Keypair().pubkey()
        later = node.signed([pay(alice, bob, SOL)], alice)
        number = await ws.subscribe("signatureSubscribe", str(later.signatures[0]), CONFIRMED)
        node.ledger.submit(later)
        assert await ws.told(number) == {"context": {"slot": node.ledger.slot}, "value": {"err": None}}
        again = await ws.subscribe("signatureSubscribe", str(later.signatures[0]), CONFIRMED)
        assert (await ws.told(again))["value"] == {"err": None}
        assert (await ws.ask("signatureUnsubscribe", number))["error"] == {"code": -32602, "message": "Invalid subscription id."}


async def test_a_failed_transaction_is_told_with_its_error() -> None:
    async with listening() as (node, ws):
        alice, bob = node.funded(), Keypair().pubkey()
        failing = node.signed([pay(alice, bob, 99 * SOL)], alice)
        number = await ws.subscribe("signatureSubscribe", str(failing.signatures[0]), CONFIRMED)
        logs = await ws.subscribe("logsSubscribe", {"mentions": [str(bob)]}, CONFIRMED)
        with pytest.raises(Exception, match="InstructionError"):
            node.ledger.submit(failing)
        err = {"InstructionError": [0, {"Custom": 1}]}
        assert (await ws.told(number))["value"] == {"err": err}
        told = (await ws.told(logs))["value"]
        assert (told["signature"], told["err"]) == (str(failing.signatures[0]), err)
        assert told["logs"][-1].endswith("custom program error: 0x1")


async def test_finalized_news_wait_for_finality() -> None:
    async with listening(Ledger(lambda: NOON, confirmed_lag_slots=1, finalized_lag_slots=3)) as (node, ws):
        alice, bob = node.funded(), Keypair().pubkey()
        numbers = {
            await ws.subscribe("accountSubscribe", str(bob), {"commitment": level}): level
            for level in ("finalized", "confirmed", "processed")
        }
        landed = node.ledger.slot
        node.ledger.execute([pay(alice, bob, SOL)], [alice])
        heard = []
        for ticks in (0, 1, 2):
            for _ in range(ticks):
                node.ledger.tick()
            given = (await ws.hear())["params"]
            assert given["result"]["context"]["slot"] == landed
            heard.append((numbers[given["subscription"]], node.ledger.slot - landed))
        assert heard == [("processed", 0), ("confirmed", 1), ("finalized", 3)]


async def test_slots_and_roots() -> None:
    async with listening() as (node, ws):
        node.ledger.settle()
        slots, root = await ws.subscribe("slotSubscribe"), await ws.subscribe("rootSubscribe")
        start = node.ledger.slot
        finalized = node.ledger.slot_at("finalized")
        node.ledger.tick()
        node.ledger.tick()
        assert await ws.told(slots) == {"slot": start + 1, "parent": start, "root": finalized + 1}
        told = [await ws.hear() for _ in range(3)]
        roots = [item["params"]["result"] for item in told if item["params"]["subscription"] == root]
        assert roots == [finalized + 1, finalized + 2]


@pytest.mark.parametrize(
    ("method", "params", "code", "message"),
    [
        ("nopeSubscribe", [], -32601, "Method not found"),
        ("getSlot", [], -32601, "Method not found"),
        ("accountSubscribe", ["xyz"], -32602, "Invalid Request: Invalid pubkey provided"),
        ("accountSubscribe", [], -32602, "`params` should have at least 1 argument(s)"),
        ("signatureSubscribe", ["xyz"], -32602, "Invalid Request: Invalid signature provided"),
        ("logsSubscribe", [{"mentions": [NOBODY, NOBODY]}], -32602, "Invalid Request: Only 1 address supported"),
        ("accountUnsubscribe", [999_999], -32602, "Invalid subscription id."),
    ],
)
async def test_refusals(method: str, params: list[Any], code: int, message: str) -> None:
    async with listening() as (_, ws):
        assert (await ws.ask(method, *params))["error"] == {"code": code, "message": message}


async def test_nobody_ends_another_client_s_subscription() -> None:
    async with listening() as (node, ws), node.session.ws_connect(node.ws_url) as socket:
        number = await ws.subscribe("slotSubscribe")
        assert "error" in await Listener(socket).ask("slotUnsubscribe", number)
        node.ledger.tick()
        assert (await ws.told(number))["slot"] == node.ledger.slot


async def test_nonsense_does_not_end_the_conversation() -> None:
    async with listening() as (_, ws):
        for nonsense in ("{nope", "[]", "5"):
            await ws.socket.send_str(nonsense)
        await ws.socket.send_bytes(b"\xff")
        codes = [(await ws.hear())["error"]["code"] for _ in range(3)]
        assert codes == [-32700, -32600, -32700]


async def test_a_node_that_stops_says_goodbye() -> None:
    async with asyncio.timeout(5):
        async with listening() as (node, ws):
            await ws.subscribe("slotSubscribe")
            await node.stop()
            assert (await ws.socket.receive()).type in (WSMsgType.CLOSE, WSMsgType.CLOSED)
