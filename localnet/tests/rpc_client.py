"""A node's front on a free port and a plain client of it, for the tests of JSON-RPC and PubSub."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
from collections.abc import AsyncIterator, Sequence
from typing import Any

from aiohttp import ClientSession, web
from solders.hash import Hash
from solders.instruction import Instruction
from solders.keypair import Keypair
from solders.message import MessageV0
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer
from solders.transaction import VersionedTransaction

from nosana_localnet.ledger import Ledger
from nosana_localnet.rpc import add_rpc

SOL = 1_000_000_000
NOON = 1_800_000_000


class Node:
    """A ledger, its address, and calls to it."""

    def __init__(self, ledger: Ledger, session: ClientSession, runner: web.AppRunner):
        port = runner.addresses[0][1]
        self.ledger = ledger
        self.session = session
        self.stop = runner.cleanup
        self.url = f"http://127.0.0.1:{port}"
        self.ws_url = f"ws://127.0.0.1:{port}"
        self._ids = itertools.count(1)

    async def post(self, body: Any) -> Any:
        async with self.session.post(self.url, json=body) as response:
            return await response.json()

    async def answer(self, method: str, *params: Any) -> dict[str, Any]:
        """The whole answer, error or result."""
        given = await self.post({"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": list(params)})
        assert isinstance(given, dict)
        return given

    async def result(self, method: str, *params: Any) -> Any:
        given = await self.answer(method, *params)
        assert "result" in given, given
        return given["result"]

    async def error(self, method: str, *params: Any) -> Any:
        given = await self.answer(method, *params)
        assert "error" in given, given
        return given["error"]

    def funded(self, lamports: int = 10 * SOL) -> Keypair:
        """A wallet with finalized SOL."""
        wallet = Keypair()
        self.ledger.airdrop(wallet.pubkey(), lamports)
        self.ledger.settle()
        return wallet

    def signed(self, instructions: Sequence[Instruction], *signers: Keypair, blockhash: Hash | None = None) -> VersionedTransaction:
        named = blockhash or self.ledger.latest_blockhash("finalized").hash
        return VersionedTransaction(MessageV0.try_compile(signers[0].pubkey(), instructions, [], named), signers)


def pay(source: Keypair, target: Pubkey, lamports: int) -> Instruction:
    return transfer(TransferParams(from_pubkey=source.pubkey(), to_pubkey=target, lamports=lamports))


def b64(data: Any) -> str:
    return base64.b64encode(bytes(data)).decode()


@contextlib.asynccontextmanager
async def running(ledger: Ledger | None = None, *, slot_seconds: float | None = None) -> AsyncIterator[Node]:
    """A node's front that answers; slots advance by themselves only where ``slot_seconds`` is given."""
    ledger = ledger or Ledger(lambda: NOON)
    app = web.Application()
    add_rpc(app, ledger)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    ticker = asyncio.create_task(_tick(ledger, slot_seconds)) if slot_seconds else None
    try:
        async with ClientSession() as session:
            yield Node(ledger, session, runner)
    finally:
        if ticker:
            ticker.cancel()
        await runner.cleanup()


async def _tick(ledger: Ledger, seconds: float) -> None:
    while True:
        await asyncio.sleep(seconds)
        ledger.tick()
