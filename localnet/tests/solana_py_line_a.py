"""The older line of solana-py and anchorpy, which other people's programs use, on a local network that runs in another process.

The Makefile runs this file with the older libraries inside `nosana-localnet run`; the newest line has test_rpc_solana_py.py.
"""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import asyncio
import json
import os
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from anchorpy import Context, Idl, Program, Provider, Wallet
from anchorpy.error import ProgramError
from solana.exceptions import SolanaRpcException
from solana.rpc.api import Client
from solana.rpc.async_api import AsyncClient
from solana.rpc.commitment import Confirmed, Finalized
from solana.rpc.core import RPCException, TransactionExpiredBlockheightExceededError
from solana.rpc.types import MemcmpOpts, TokenAccountOpts, TxOpts
from solana.rpc.websocket_api import connect
from solders.hash import Hash
from solders.keypair import Keypair
from solders.message import MessageV0
from solders.pubkey import Pubkey
from solders.rpc.config import RpcTransactionLogsFilterMentions
from solders.rpc.errors import SendTransactionPreflightFailureMessage
from solders.signature import Signature
from solders.system_program import ID as SYSTEM_PROGRAM
from solders.system_program import TransferParams, transfer
from solders.transaction import Transaction, VersionedTransaction
from solders.transaction_status import InstructionErrorCustom, TransactionErrorInstructionError
from spl.token.client import Token
from spl.token.constants import TOKEN_PROGRAM_ID
from spl.token.instructions import get_associated_token_address

URL = os.environ["NOSANA_RPC_URL"]
WS_URL = URL.replace("http", "ws")
WALLET = Keypair.from_bytes(bytes(json.loads(Path(os.environ["NOSANA_WALLET"]).read_text(encoding="utf-8"))))
IDL = Idl.from_json(Path(os.environ["NOSANA_IDL"]).read_text(encoding="utf-8"))
SOL = 1_000_000_000
NOS_MINT = Pubkey.from_string("nosXBVoaCTtYdLvKY6Csb4AC8JCdQKKAaWYtx2ZMoo7")
JOBS_PROGRAM = Pubkey.from_string("nosJhNRqr2bc9g1nfGDcXXTXvYUmxD4cVwy2pMWhrYM")
REWARDS_PROGRAM = Pubkey.from_string("nosRB8DUV67oLNrL45bo2pFLrmsWPiewe2Lk2DRNYCp")
QUIET_MARKET = Pubkey.from_string("GLJHzqRN9fKGBsvsFzmGnaQGknUtLN1dqaFR8n3YdM22")
LOOK = 0.02
PATIENCE = 30


def pay(source: Keypair, target: Pubkey, lamports: int, blockhash: Hash) -> VersionedTransaction:
    instruction = transfer(TransferParams(from_pubkey=source.pubkey(), to_pubkey=target, lamports=lamports))
    return VersionedTransaction(MessageV0.try_compile(source.pubkey(), [instruction], [], blockhash), [source])


def warp(seconds: int) -> None:
    request = urllib.request.Request(f"{URL}/localnet/warp", json.dumps({"seconds": seconds}).encode())
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        assert answer.status == 200


@pytest.fixture
def client() -> Client:
    return Client(URL, commitment=Confirmed)


@pytest.fixture
def alice(client: Client) -> Keypair:
    key = Keypair()
    dropped = client.request_airdrop(key.pubkey(), 10 * SOL).value
    client.confirm_transaction(dropped, Confirmed, sleep_seconds=LOOK)
    return key


def test_a_wallet_s_day(client: Client, alice: Keypair) -> None:
    bob = Keypair().pubkey()
    assert client.is_connected()
    assert client.get_balance(alice.pubkey()).value == 10 * SOL
    latest = client.get_latest_blockhash().value
    paying = pay(alice, bob, SOL, latest.blockhash)
    assert client.get_fee_for_message(paying.message).value == 5000
    assert client.simulate_transaction(paying).value.units_consumed == 150
    sent = client.send_transaction(paying, TxOpts(preflight_commitment=Confirmed)).value
    client.confirm_transaction(sent, Confirmed, sleep_seconds=LOOK, last_valid_block_height=latest.last_valid_block_height)
    assert client.get_balance(bob).value == SOL
    landed = client.get_transaction(sent, "jsonParsed", max_supported_transaction_version=0).value
    assert landed is not None
    assert landed.transaction.meta is not None
    assert landed.transaction.meta.fee == 5000
    assert [entry.signature for entry in client.get_signatures_for_address(bob).value] == [sent]
    legacy = Transaction.new_signed_with_payer(
        [transfer(TransferParams(from_pubkey=alice.pubkey(), to_pubkey=bob, lamports=1))], alice.pubkey(), [alice], latest.blockhash
    )
    client.confirm_transaction(client.send_transaction(legacy).value, Finalized, sleep_seconds=LOOK)
    assert client.get_balance(bob, Finalized).value == SOL + 1


def test_tokens(client: Client) -> None:
    token, bob = Token(client, NOS_MINT, TOKEN_PROGRAM_ID, WALLET), Keypair().pubkey()
    source, target = get_associated_token_address(WALLET.pubkey(), NOS_MINT), token.create_associated_token_account(bob)
    sent = token.transfer(source, target, WALLET, 2_500_000, opts=TxOpts(preflight_commitment=Confirmed)).value
    client.confirm_transaction(sent, Confirmed, sleep_seconds=LOOK)
    assert token.get_balance(target).value.ui_amount_string == "2.5"
    assert token.get_account_info(target).amount == 2_500_000
    owned = client.get_token_accounts_by_owner_json_parsed(bob, TokenAccountOpts(mint=NOS_MINT)).value
    assert [item.pubkey for item in owned] == [target]
    with pytest.raises(RPCException, match="insufficient funds"):
        token.transfer(source, target, WALLET, 10**15, opts=TxOpts(preflight_commitment=Confirmed))


def test_reads_parse(client: Client) -> None:
    market = client.get_account_info(QUIET_MARKET).value
    assert market is not None
    assert market.owner == JOBS_PROGRAM
    filters: list[Any] = [len(market.data), MemcmpOpts(offset=65, bytes=str(Pubkey(market.data[65:97])))]
    found = client.get_program_accounts(JOBS_PROGRAM, encoding="base64", filters=filters).value
    assert [item.pubkey for item in found] == [QUIET_MARKET]
    assert client.get_multiple_accounts([QUIET_MARKET, Keypair().pubkey()]).value[1] is None
    assert client.get_minimum_balance_for_rent_exemption(240).value == 2_561_280
    for read in ["version", "genesis_hash", "identity", "epoch_info", "epoch_schedule", "slot", "block_height", "slot_leader", "supply"]:
        getattr(client, f"get_{read}")()


def test_refusals(client: Client, alice: Keypair, monkeypatch: pytest.MonkeyPatch) -> None:
    options = TxOpts(preflight_commitment=Confirmed)
    latest = client.get_latest_blockhash().value
    with pytest.raises(RPCException) as broke:
        client.send_transaction(pay(alice, Keypair().pubkey(), 99 * SOL, latest.blockhash), options)
    failure = broke.value.args[0]
    assert isinstance(failure, SendTransactionPreflightFailureMessage)
    assert failure.message == "Transaction simulation failed: Error processing Instruction 0: custom program error: 0x1"
    assert failure.data.err == TransactionErrorInstructionError(0, InstructionErrorCustom(1))
    assert any(line.startswith("Transfer: insufficient lamports") for line in failure.data.logs or [])
    with pytest.raises(RPCException, match="Blockhash not found"):
        client.send_transaction(pay(alice, Keypair().pubkey(), SOL, Hash.new_unique()), options)
    with pytest.raises(RPCException, match="found no record of a prior credit"):
        client.send_transaction(pay(Keypair(), alice.pubkey(), SOL, latest.blockhash), options)
    signed = pay(alice, Keypair().pubkey(), SOL, latest.blockhash)
    with pytest.raises(RPCException, match="did not pass signature verification"):
        client.send_transaction(VersionedTransaction.populate(signed.message, [Signature.default()]), options)
    with pytest.raises(RPCException, match="Too many inputs provided; max 100"):
        client.get_multiple_accounts([QUIET_MARKET] * 101)
    monkeypatch.setattr("solana.rpc.api.sleep", lambda _seconds: warp(3600))  # time passes while it waits
    with pytest.raises(TransactionExpiredBlockheightExceededError):
        client.confirm_transaction(
            signed.signatures[0], Confirmed, sleep_seconds=LOOK, last_valid_block_height=latest.last_valid_block_height
        )
    with pytest.raises(SolanaRpcException):
        Client("http://127.0.0.1:1").get_slot()


def test_subscriptions() -> None:
    async def listen() -> list[str]:
        bob = Keypair().pubkey()
        async with AsyncClient(URL, commitment=Confirmed) as client, connect(WS_URL) as socket:
            paying = pay(WALLET, bob, SOL // 10, (await client.get_latest_blockhash()).value.blockhash)
            await socket.account_subscribe(bob, Confirmed, "base64")
            await socket.signature_subscribe(paying.signatures[0], Confirmed)
            await socket.logs_subscribe(RpcTransactionLogsFilterMentions(bob), Confirmed)
            await socket.program_subscribe(TOKEN_PROGRAM_ID, Confirmed, "base64")
            await socket.slot_subscribe()
            told: list[str] = []
            for _ in range(5):
                told += [type(message).__name__ for message in await socket.recv()]
            assert told[:5] == ["SubscriptionResult"] * 5
            await client.send_transaction(paying, TxOpts(preflight_commitment=Confirmed))
            wanted = {"AccountNotification", "SignatureNotification", "LogsNotification", "SlotNotification"}
            while not wanted <= set(told):
                told += [type(message).__name__ for message in await socket.recv()]
            return told

    asyncio.run(asyncio.wait_for(listen(), PATIENCE))


def test_anchorpy_posts_extends_and_delists_a_job() -> None:
    async def work() -> None:
        async with AsyncClient(URL, commitment=Confirmed) as client:
            options = TxOpts(preflight_commitment=Confirmed, skip_confirmation=True)
            program = Program(IDL, JOBS_PROGRAM, Provider(client, Wallet(WALLET), options))
            job, run = Keypair(), Keypair()
            user = get_associated_token_address(WALLET.pubkey(), NOS_MINT)
            accounts = {
                "market": QUIET_MARKET,
                "vault": Pubkey.find_program_address([bytes(QUIET_MARKET), bytes(NOS_MINT)], JOBS_PROGRAM)[0],
                "user": user,
                "payer": WALLET.pubkey(),
                "authority": WALLET.pubkey(),
                "rewards_reflection": Pubkey.find_program_address([b"reflection"], REWARDS_PROGRAM)[0],
                "rewards_vault": Pubkey.find_program_address([bytes(NOS_MINT)], REWARDS_PROGRAM)[0],
                "rewards_program": REWARDS_PROGRAM,
                "token_program": TOKEN_PROGRAM_ID,
                "system_program": SYSTEM_PROGRAM,
                "job": job.pubkey(),
                "run": run.pubkey(),
                "deposit": user,
            }
            await program.rpc["list"](list(range(32)), 600, ctx=Context(accounts=accounts, signers=[job, run]))
            posted = await program.account["JobAccount"].fetch(job.pubkey(), Confirmed)
            assert (posted.timeout, posted.price, posted.project) == (600, 640, WALLET.pubkey())
            await program.rpc["extend"](900, ctx=Context(accounts=accounts))
            assert (await program.account["JobAccount"].fetch(job.pubkey(), Confirmed)).timeout == 900
            with pytest.raises(ProgramError, match="should be larger than the current one"):
                await program.rpc["extend"](800, ctx=Context(accounts=accounts))
            await program.rpc["delist"](ctx=Context(accounts=accounts))
            assert (await client.get_account_info(job.pubkey())).value is None

    asyncio.run(asyncio.wait_for(work(), PATIENCE))
