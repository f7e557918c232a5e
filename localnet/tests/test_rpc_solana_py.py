"""solana-py, a client that other people wrote, talks to the node's front."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import asyncio

import pytest
from rpc_client import SOL, b64, pay, running
from solders.keypair import Keypair
from solders.message import MessageV0
from solders.pubkey import Pubkey
from solders.transaction import VersionedTransaction

from nosana_localnet.ledger import NOS_MINT, TOKEN_PROGRAM, token_address

api = pytest.importorskip("solana.rpc.async_api")
models = pytest.importorskip("solana.rpc.models")
websocket = pytest.importorskip("solana.rpc.websocket_api")
core = pytest.importorskip("solana.rpc.core")

pytestmark = pytest.mark.asyncio
CONFIRMED = "confirmed"


async def transaction_of(client: object, wallet: Keypair, target: Pubkey, lamports: int) -> tuple[VersionedTransaction, int]:
    latest = (await client.get_latest_blockhash(CONFIRMED)).value  # type: ignore[attr-defined]
    message = MessageV0.try_compile(wallet.pubkey(), [pay(wallet, target, lamports)], [], latest.blockhash)
    return VersionedTransaction(message, [wallet]), latest.last_valid_block_height


async def test_a_wallet_s_day() -> None:
    async with running(slot_seconds=0.01) as node, api.AsyncClient(node.url, commitment=CONFIRMED) as client:
        assert await client.is_connected()
        alice, bob = Keypair(), Keypair().pubkey()
        dropped = (await client.request_airdrop(alice.pubkey(), 10 * SOL)).value
        await client.confirm_transaction(dropped, CONFIRMED, sleep_seconds=0.01)
        assert (await client.get_balance(alice.pubkey())).value == 10 * SOL

        transaction, last_height = await transaction_of(client, alice, bob, SOL)
        assert (await client.get_fee_for_message(transaction.message)).value == 5000
        assert (await client.simulate_transaction(transaction)).value.units_consumed == 150
        options = models.TxOpts(preflight_commitment=CONFIRMED, skip_confirmation=False, last_valid_block_height=last_height)
        signature = (await client.send_transaction(transaction, options)).value
        assert signature == transaction.signatures[0]
        assert (await client.get_balance(bob)).value == SOL
        landed = (await client.get_transaction(signature, "jsonParsed", CONFIRMED, max_supported_transaction_version=0)).value
        assert landed.transaction.meta.fee == 5000
        assert [item.signature for item in (await client.get_signatures_for_address(bob, commitment=CONFIRMED)).value] == [signature]

        async with asyncio.timeout(5):
            await client.confirm_transaction(signature, "finalized", sleep_seconds=0.02)
        assert (await client.get_balance(bob, "finalized")).value == SOL

        too_much, _ = await transaction_of(client, alice, bob, 99 * SOL)
        with pytest.raises(core.RPCException, match="custom program error: 0x1"):
            await client.send_transaction(too_much, models.TxOpts(preflight_commitment=CONFIRMED))


async def test_reads_parse() -> None:
    async with running() as node, api.AsyncClient(node.url, commitment=CONFIRMED) as client:
        alice = node.funded()
        node.ledger.mint_nos(alice.pubkey(), 1_500_000)
        token = token_address(alice.pubkey())
        by_mint = models.TokenAccountOpts(mint=NOS_MINT)
        assert [item.pubkey for item in (await client.get_token_accounts_by_owner(alice.pubkey(), by_mint)).value] == [token]
        parsed = (await client.get_token_accounts_by_owner_json_parsed(alice.pubkey(), by_mint)).value[0].account.data.parsed
        assert parsed["info"]["tokenAmount"]["amount"] == "1500000"
        assert (await client.get_token_account_balance(token)).value.ui_amount_string == "1.5"
        assert (await client.get_token_supply(NOS_MINT)).value.amount == "1500000"
        filters = [165, models.MemcmpOpts(offset=32, bytes=str(alice.pubkey()))]
        found = await client.get_program_accounts(TOKEN_PROGRAM, encoding="base64", filters=filters)
        assert [item.pubkey for item in found.value] == [token]
        many = (await client.get_multiple_accounts([token, Keypair().pubkey()])).value
        assert (len(many[0].data), many[1]) == (165, None)
        assert b64(many[0].data) == b64((await client.get_account_info(token)).value.data)
        assert (await client.get_minimum_balance_for_rent_exemption(240)).value == 2_561_280
        reads = ("version", "genesis_hash", "identity", "epoch_info", "epoch_schedule", "slot", "block_height", "slot_leader", "supply")
        for read in reads:
            await getattr(client, f"get_{read}")()
        await client.get_recent_prioritization_fees([NOS_MINT])


async def test_subscriptions_parse() -> None:
    async with running() as node, websocket.SolanaWsClient(node.ws_url) as client:
        alice, bob = node.funded(), Keypair().pubkey()
        transaction = node.signed([pay(alice, bob, SOL)], alice)
        await client.account_subscribe(pubkey=bob, commitment=CONFIRMED)
        await client.signature_subscribe(signature=transaction.signatures[0], commitment=CONFIRMED)
        await client.logs_subscribe(commitment=CONFIRMED)
        await client.program_subscribe(program_id=TOKEN_PROGRAM, commitment=CONFIRMED)
        await client.slot_subscribe()
        node.ledger.submit(transaction)
        node.ledger.tick()
        async with asyncio.timeout(5):
            told = [type(await client.recv()).__name__ for _ in range(4)]
        assert told == ["AccountNotification", "SignatureNotification", "LogsNotification", "SlotNotification"]
