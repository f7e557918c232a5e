"""Blocks and the cluster as JSON-RPC shows them, and the rate limit of public nodes."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from aiohttp import ClientSession, web
from rpc_client import SOL, pay, running
from solders.keypair import Keypair

from nosana_localnet.ledger import Ledger
from nosana_localnet.rpc import RateLimit, add_rpc
from nosana_localnet.rpc.methods import METHODS

pytestmark = pytest.mark.asyncio
CONFIRMED = {"commitment": "confirmed", "maxSupportedTransactionVersion": 0}


async def test_a_block_holds_its_transactions_and_follows_another() -> None:
    async with running() as node:
        alice = node.funded()
        node.ledger.tick()
        transaction = node.signed([pay(alice, Keypair().pubkey(), SOL)], alice)
        node.ledger.submit(transaction)
        slot = node.ledger.slot
        block = await node.result("getBlock", slot, CONFIRMED)
        before = await node.result("getBlock", slot - 1, CONFIRMED)
        assert (block["parentSlot"], block["previousBlockhash"]) == (slot - 1, before["blockhash"])
        assert [entry["transaction"]["signatures"] for entry in block["transactions"]] == [[str(transaction.signatures[0])]]
        assert (block["transactions"][0]["meta"]["err"], block["transactions"][0]["version"], block["rewards"]) == (None, 0, [])
        signatures = await node.result("getBlock", slot, CONFIRMED | {"transactionDetails": "signatures", "rewards": False})
        assert signatures["signatures"] == [str(transaction.signatures[0])]
        assert not {"transactions", "rewards"} & set(signatures)
        assert (await node.error("getBlock", slot, {"commitment": "confirmed"}))["code"] == -32015
        assert (await node.error("getBlock", slot + 1, CONFIRMED))["code"] == -32004
        assert (await node.error("getBlock", slot, {"commitment": "processed"}))["code"] == -32602
        node.ledger.warp(3600)
        assert (await node.error("getBlock", slot + 1, CONFIRMED))["code"] == -32007
        last = node.ledger.slot
        assert await node.result("getBlocks", last - 2, None, {"commitment": "confirmed"}) == [last - 2, last - 1, last]
        assert await node.result("getBlocks", slot, slot + 5, {"commitment": "confirmed"}) == [slot]
        assert await node.result("getBlocksWithLimit", last - 2, 2, {"commitment": "confirmed"}) == [last - 2, last - 1]


async def test_every_method_answers_with_the_least_it_needs() -> None:
    given = {
        "getInflationReward": [[]],
        "getBlocksWithLimit": [1, 1],
        "getSlotLeaders": [1, 2],
        "getBlockCommitment": [1],
        "getBlocks": [1],
    }
    async with running() as node:
        node.ledger.settle()
        for name, method in METHODS.items():
            if method.required == 0 or name in given:
                await node.result(name, *given.get(name, []))


async def test_who_asks_too_often_waits() -> None:
    now = [100.0]
    limit = RateLimit(2, 10, lambda: now[0])
    app = web.Application()
    add_rpc(app, Ledger(), limit=limit)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with ClientSession() as client:

            async def ask() -> tuple[int, str | None]:
                body = {"jsonrpc": "2.0", "id": 1, "method": "getHealth"}
                async with client.post(f"http://127.0.0.1:{runner.addresses[0][1]}", json=body) as answer:
                    assert "result" in await answer.json() or answer.status == 429
                    return answer.status, answer.headers.get("Retry-After")

            assert [await ask() for _ in range(3)] == [(200, None), (200, None), (429, "10")]
            now[0] += 4
            assert await ask() == (429, "6")
            now[0] += 6
            assert await ask() == (200, None)
    finally:
        await runner.cleanup()
    for calls, seconds in ((0, 1), (1, 0)):
        with pytest.raises(ValueError, match="rate limit"):
            RateLimit(calls, seconds)
