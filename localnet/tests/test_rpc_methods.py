"""JSON-RPC over HTTP: the answers that clients build on, and the refusals in a real node's codes and words."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import asyncio
import base64
import json
import struct
from typing import Any

import pytest
from rpc_client import NOON, SOL, b64, pay, running
from solders.account import Account
from solders.hash import Hash
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.message import Message, MessageV0, to_bytes_versioned
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.transaction import VersionedTransaction

from nosana_localnet import base58
from nosana_localnet.ledger import COMPUTE_BUDGET_PROGRAM, NOS_MINT, SYSTEM_PROGRAM, TOKEN_PROGRAM, Ledger, token_address
from nosana_localnet.rpc.encoding import token_amount, zstd_frame
from nosana_localnet.rpc.methods import METHODS

pytestmark = pytest.mark.asyncio
BASE64 = {"encoding": "base64"}
CONFIRMED = {"commitment": "confirmed"}
NOBODY = str(Pubkey(bytes([7]) * 32))


# ---- the protocol


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ("{nope", -32700, "Parse error"),
        ("", -32700, "Parse error"),
        ("[" * 20_000, -32700, "Parse error"),
        ("5", -32600, "Invalid request"),
        ('{"jsonrpc":"2.0","id":1,"method":5}', -32600, "Invalid request"),
        ('{"id":1,"method":"getSlot"}', -32600, "Unsupported JSON-RPC protocol version"),
        ('{"jsonrpc":"2.0","id":1,"method":"nope"}', -32601, "Method not found"),
        ('{"jsonrpc":"2.0","id":1,"method":"getBalance","params":{"a":1}}', -32602, "`params` should be an array"),
        ('{"jsonrpc":"2.0","id":1,"method":"getBalance"}', -32602, "`params` should have at least 1 argument(s)"),
        (
            '{"jsonrpc":"2.0","id":1,"method":"getBalance","params":[5]}',
            -32602,
            "Invalid params: invalid type: integer `5`, expected a string.",
        ),
        ('{"jsonrpc":"2.0","id":1,"method":"getBalance","params":["xyz"]}', -32602, "Invalid param: WrongSize"),
        ('{"jsonrpc":"2.0","id":1,"method":"getBalance","params":["0OIl"]}', -32602, "Invalid param: Invalid"),
    ],
)
async def test_malformed_requests(body: str, code: int, message: str) -> None:
    async with running() as node, node.session.post(node.url, data=body, headers={"Content-Type": "application/json"}) as response:
        assert response.status == 200
        assert (await response.json())["error"] == {"code": code, "message": message}


async def test_too_many_parameters() -> None:
    async with running() as node:
        error = await node.error("getAccountInfo", NOBODY, {}, 1)
        assert error == {"code": -32602, "message": "Invalid parameters: Expected from 1 to 2 parameters.", "data": '"Got: 3"'}


async def test_batches_and_notifications() -> None:
    async with running() as node:
        calls = [{"jsonrpc": "2.0", "id": n, "method": "getHealth"} for n in (1, "two", None)]
        silent = {"jsonrpc": "2.0", "method": "getHealth"}
        answers = await node.post([*calls, silent])
        assert answers == [{"jsonrpc": "2.0", "result": "ok", "id": n} for n in (1, "two", None)]
        for nothing_due in (silent, [], [silent]):
            async with node.session.post(node.url, json=nothing_due) as response:
                assert (response.status, await response.text()) == (200, "")


async def test_what_is_not_json_rpc() -> None:
    async with running() as node:
        async with node.session.post(node.url, data="{}", headers={"Content-Type": "text/plain"}) as response:
            assert response.status == 415
        async with node.session.get(node.url, headers={"Origin": "http://example.org"}) as response:
            assert response.status == 405
            assert response.headers["Access-Control-Allow-Origin"] == "http://example.org"
        async with node.session.post(node.url, json=["x" * 60_000]) as response:
            assert response.status == 413
        async with node.session.post(node.url, data=_endless(), headers={"Content-Type": "application/json"}) as response:
            assert response.status == 413
        assert await node.result("getHealth") == "ok"


async def _endless() -> Any:
    for _ in range(60):
        yield b" " * 1024


async def test_an_internal_error_tells_a_client_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_self: Ledger, *_args: object) -> int:
        raise RuntimeError("the way to the treasure")

    async with running() as node:
        monkeypatch.setattr(Ledger, "balance", broken)
        assert await node.error("getBalance", NOBODY) == {"code": -32603, "message": "Internal error"}


# ---- accounts


async def test_an_account_in_every_encoding() -> None:
    async with running() as node:
        key = Keypair().pubkey()
        data = bytes(range(100))
        node.ledger.put(key, Account(SOL, data, TOKEN_PROGRAM))

        async def shown(**config: Any) -> Any:
            return (await node.result("getAccountInfo", str(key), config))["value"]["data"]

        assert await shown(encoding="base64") == [base64.b64encode(data).decode(), "base64"]
        assert await shown(encoding="base58") == [base58.encode(data), "base58"]
        assert await shown() == base58.encode(data)
        assert await shown(encoding="base64+zstd") == [base64.b64encode(zstd_frame(data)).decode(), "base64+zstd"]
        assert await shown(encoding="jsonParsed") == [base64.b64encode(data).decode(), "base64"]
        assert await shown(encoding="base64", dataSlice={"offset": 98, "length": 8}) == [base64.b64encode(data[98:]).decode(), "base64"]
        node.ledger.put(key, Account(SOL, bytes(129), TOKEN_PROGRAM))
        error = await node.error("getAccountInfo", str(key), {"encoding": "base58"})
        assert error["code"] == -32600
        error = await node.error("getAccountInfo", str(key), {"encoding": "bogus"})
        assert error["message"].startswith("Invalid params: unknown variant `bogus`, expected one of `binary`")


async def test_the_zstandard_frame_is_one() -> None:
    # Worked out by hand from RFC 8878: single segment, 8-byte content size, one repeated and one stored block.
    assert zstd_frame(b"\0" * 5).hex() == "28b52ffd" + "e0" + "0500000000000000" + "2b0000" + "00"
    assert zstd_frame(b"ab").hex() == "28b52ffd" + "e0" + "0200000000000000" + "110000" + "6162"


async def test_many_accounts_at_once() -> None:
    async with running() as node:
        alice = node.funded()
        value = (await node.result("getMultipleAccounts", [str(alice.pubkey()), NOBODY], BASE64))["value"]
        assert (value[0]["lamports"], value[1]) == (10 * SOL, None)
        error = await node.error("getMultipleAccounts", [NOBODY] * 101)
        assert error == {"code": -32602, "message": "Too many inputs provided; max 100"}


async def test_program_accounts_by_filters() -> None:
    async with running() as node:
        program = Keypair().pubkey()
        keys = sorted((Keypair().pubkey() for _ in range(6)), key=bytes)
        for index, key in enumerate(keys):
            node.ledger.put(key, Account(SOL, b"job_data" + bytes([index % 2]) * 32 + bytes(index // 3), program))

        async def found(*filters: Any, **config: Any) -> list[str]:
            given = await node.result("getProgramAccounts", str(program), {"encoding": "base64", "filters": list(filters), **config})
            return [item["pubkey"] for item in given]

        names = [str(key) for key in keys]
        odd = {"memcmp": {"offset": 8, "bytes": base58.encode(bytes([1]) * 32)}}
        assert await found() == names
        assert await found({"dataSize": 41}) == names[3:]
        assert await found(odd) == names[1::2]
        assert await found({"memcmp": {"offset": 8, "bytes": b64(bytes([1]) * 32), "encoding": "base64"}}) == names[1::2]
        assert await found(odd, {"dataSize": 41}) == names[3::2]
        assert await found({"memcmp": {"offset": 39, "bytes": base58.encode(b"\1\1\1")}}) == []
        with_slot = await node.result("getProgramAccounts", str(program), {"encoding": "base64", "withContext": True})
        assert (len(with_slot["value"]), "slot" in with_slot["context"]) == (6, True)
        sliced = await node.result("getProgramAccounts", str(program), {"encoding": "base64", "dataSlice": {"offset": 0, "length": 3}})
        assert sliced[0]["account"]["data"] == [b64(b"job"), "base64"]
        assert sliced[0]["account"]["space"] == 40


async def test_filters_that_are_refused() -> None:
    async with running() as node:
        for filters, message in (
            ([{"dataSize": 1}] * 5, "Too many filters provided; max 4"),
            ([{"memcmp": {"offset": 0, "bytes": "1" * 129}}], "Invalid param: DataTooLarge"),
            (
                [{"memcmp": {"offset": 0, "bytes": "0OIl"}}],
                "Invalid param: Base58DecodeError(InvalidCharacter { character: '0', index: 0 })",
            ),
        ):
            error = await node.error("getProgramAccounts", str(TOKEN_PROGRAM), {"filters": filters})
            assert error == {"code": -32602, "message": message}


async def test_token_accounts_parsed() -> None:
    async with running() as node:
        alice = node.funded()
        node.ledger.mint_nos(alice.pubkey(), 1_500_000)
        owner, token = str(alice.pubkey()), str(token_address(alice.pubkey()))
        given = await node.result("getTokenAccountsByOwner", owner, {"mint": str(NOS_MINT)}, {"encoding": "jsonParsed", **CONFIRMED})
        assert [item["pubkey"] for item in given["value"]] == [token]
        account = given["value"][0]["account"]
        amount = {"amount": "1500000", "decimals": 6, "uiAmount": 1.5, "uiAmountString": "1.5"}
        assert account["data"]["program"] == "spl-token"
        assert account["data"]["parsed"] == {
            "type": "account",
            "info": {"isNative": False, "mint": str(NOS_MINT), "owner": owner, "state": "initialized", "tokenAmount": amount},
        }
        assert (await node.result("getTokenAccountBalance", token, CONFIRMED))["value"] == amount
        assert (await node.result("getTokenSupply", str(NOS_MINT), CONFIRMED))["value"]["amount"] == "1500000"
        assert (await node.result("getTokenLargestAccounts", str(NOS_MINT), CONFIRMED))["value"][0]["address"] == token
        for method, params, message in (
            ("getTokenAccountBalance", [token], "Invalid param: could not find account"),  # not finalized yet
            ("getTokenAccountBalance", [owner, CONFIRMED], "Invalid param: not a Token account"),
            ("getTokenAccountsByOwner", [owner, {"mint": NOBODY}], "Invalid param: could not find mint"),
            ("getTokenAccountsByOwner", [owner, {"programId": NOBODY}], "Invalid param: unrecognized Token program id"),
        ):
            assert await node.error(method, *params) == {"code": -32602, "message": message}


@pytest.mark.parametrize(
    ("base_units", "decimals", "ui_amount", "text"),
    [(0, 6, 0.0, "0"), (1, 6, 0.000001, "0.000001"), (1_000_000, 6, 1.0, "1"), (100, 0, 100.0, "100"), (1_230_000, 6, 1.23, "1.23")],
)
async def test_amounts_of_tokens(base_units: int, decimals: int, ui_amount: float, text: str) -> None:
    given = token_amount(base_units, decimals)
    assert (given["amount"], given["uiAmount"], given["uiAmountString"]) == (str(base_units), ui_amount, text)


async def test_a_slot_that_has_not_come() -> None:
    async with running() as node:
        node.ledger.settle()
        error = await node.error("getBalance", NOBODY, {"minContextSlot": 10**12})
        assert (error["code"], error["data"]) == (-32016, {"contextSlot": node.ledger.slot_at("finalized")})
        assert (await node.error("getBlockTime", 10**6))["code"] == -32004
        assert await node.result("getBlockTime", 1) == NOON


# ---- blockhashes and fees


async def test_a_blockhash_until_it_expires() -> None:
    async with running() as node:
        node.ledger.settle()
        latest = (await node.result("getLatestBlockhash", CONFIRMED))["value"]
        assert latest["lastValidBlockHeight"] == await node.result("getBlockHeight", CONFIRMED) + 150

        async def valid() -> bool:
            return bool((await node.result("isBlockhashValid", latest["blockhash"], CONFIRMED))["value"])

        assert await valid()
        while node.ledger.block_height < latest["lastValidBlockHeight"]:
            node.ledger.tick()
        assert await valid()
        node.ledger.tick()
        assert not await valid()


async def test_the_fee_of_a_message() -> None:
    async with running() as node:
        alice = node.funded()
        latest = node.ledger.latest_blockhash("finalized").hash
        price = Instruction(COMPUTE_BUDGET_PROGRAM, struct.pack("<BQ", 3, 1_000_000), [])
        limit = Instruction(COMPUTE_BUDGET_PROGRAM, struct.pack("<BI", 2, 50_000), [])
        plain = Message.new_with_blockhash([pay(alice, Keypair().pubkey(), 1)], alice.pubkey(), latest)
        paid = MessageV0.try_compile(alice.pubkey(), [price, limit, pay(alice, Keypair().pubkey(), 1)], [], latest)
        gone = Message.new_with_blockhash([pay(alice, Keypair().pubkey(), 1)], alice.pubkey(), Hash.default())
        fees = [(await node.result("getFeeForMessage", b64(message)))["value"] for message in (plain, gone)]
        assert fees == [5_000, None]
        assert (await node.result("getFeeForMessage", b64(to_bytes_versioned(paid))))["value"] == 55_000
        assert (await node.error("getFeeForMessage", "AAAA"))["code"] == -32602


# ---- sending and looking back


async def test_sending_and_looking_back() -> None:
    async with running() as node:
        alice, bob = node.funded(), Keypair().pubkey()
        transaction = node.signed([pay(alice, bob, SOL)], alice)
        signature = await node.result("sendTransaction", b64(transaction), BASE64)
        assert signature == str(transaction.signatures[0])
        status = (await node.result("getSignatureStatuses", [signature, str(Signature.default())]))["value"]
        assert status[0]["confirmationStatus"] == "confirmed"
        assert (status[0]["err"], status[0]["status"], status[1]) == (None, {"Ok": None}, None)
        assert (await node.result("getBalance", str(bob), CONFIRMED))["value"] == SOL
        assert (await node.result("getBalance", str(bob)))["value"] == 0  # finalized by default
        assert await node.result("getTransaction", signature, {"maxSupportedTransactionVersion": 0}) is None
        node.ledger.settle()
        shown = await node.result("getTransaction", signature, {"maxSupportedTransactionVersion": 0})
        assert (shown["version"], shown["meta"]["fee"], shown["meta"]["err"]) == (0, 5000, None)
        assert shown["meta"]["preBalances"] == [10 * SOL, 0, 1]
        assert shown["transaction"]["message"]["instructions"][0]["programIdIndex"] == 2
        parsed = await node.result("getTransaction", signature, {"encoding": "jsonParsed", "maxSupportedTransactionVersion": 0})
        assert parsed["transaction"]["message"]["instructions"][0]["parsed"] == {
            "info": {"destination": str(bob), "lamports": SOL, "source": str(alice.pubkey())},
            "type": "transfer",
        }
        assert (await node.error("getTransaction", signature))["code"] == -32015
        history = await node.result("getSignaturesForAddress", str(bob))
        assert [(item["signature"], item["confirmationStatus"]) for item in history] == [(signature, "finalized")]
        assert (await node.error("getSignaturesForAddress", str(bob), {"limit": 0}))["message"] == "Invalid limit; max 1000"
        words = "Method does not support commitment below `confirmed`"
        assert (await node.error("getSignaturesForAddress", str(bob), {"commitment": "processed"}))["message"] == words


@pytest.mark.parametrize("program", [TOKEN_PROGRAM, SYSTEM_PROGRAM], ids=["token", "system"])
@pytest.mark.parametrize("size", [1, 3, 8, 9, 32, 34, 66])
@pytest.mark.parametrize("accounts", [0, 1, 2, 3])
async def test_instructions_that_break_off_are_shown_as_they_are(program: Pubkey, size: int, accounts: int) -> None:
    async with running() as node:
        alice = node.funded()
        metas = [AccountMeta(Pubkey(bytes([n] * 32)), False, False) for n in range(accounts)]
        tail = b"\0\0\0" if program == SYSTEM_PROGRAM else b""
        broken = [Instruction(program, (bytes([kind]) + tail + bytes([1] * 66))[:size], metas) for kind in range(9 if size > 30 else 26)]
        body = b64(node.signed(broken, alice))
        signature = await node.result("sendTransaction", body, BASE64 | {"skipPreflight": True})
        options = {"encoding": "jsonParsed", "maxSupportedTransactionVersion": 0, **CONFIRMED}
        message = (await node.result("getTransaction", signature, options))["transaction"]["message"]
        assert len(message["instructions"]) == len(broken)
        told = [shown["parsed"]["info"] for shown in message["instructions"] if "parsed" in shown]
        assert size >= 9 or not [info for info in told if {"amount", "tokenAmount", "lamports", "space"} & info.keys()]
        assert size >= 32 or not [info for info in told if {"mintAuthority", "newAuthority"} & info.keys() and "amount" not in info]


async def test_the_same_bytes_twice_count_once() -> None:
    async with running() as node:
        alice, bob = node.funded(), Keypair().pubkey()
        body = b64(node.signed([pay(alice, bob, SOL)], alice))
        options = BASE64 | {"preflightCommitment": "confirmed"}
        signature = await node.result("sendTransaction", body, options)
        error = await node.error("sendTransaction", body, options)
        assert (error["code"], error["data"]["err"]) == (-32002, "AlreadyProcessed")
        assert await node.result("sendTransaction", body, BASE64 | {"skipPreflight": True}) == signature
        assert node.ledger.balance(bob) == SOL


async def test_preflight_stops_what_would_fail() -> None:
    async with running() as node:
        alice = node.funded()
        error = await node.error("sendTransaction", b64(node.signed([pay(alice, Keypair().pubkey(), 99 * SOL)], alice)), BASE64)
        assert error["code"] == -32002
        assert error["message"] == "Transaction simulation failed: Error processing Instruction 0: custom program error: 0x1"
        assert error["data"]["err"] == {"InstructionError": [0, {"Custom": 1}]}
        assert error["data"]["logs"][-1].endswith("failed: custom program error: 0x1")
        assert error["data"]["unitsConsumed"] == 150
        assert node.ledger.balance(alice.pubkey()) == 10 * SOL


async def test_without_preflight_a_failure_lands_and_costs() -> None:
    async with running() as node:
        alice = node.funded()
        body = b64(node.signed([pay(alice, Keypair().pubkey(), 99 * SOL)], alice))
        signature = await node.result("sendTransaction", body, BASE64 | {"skipPreflight": True})
        status = (await node.result("getSignatureStatuses", [signature]))["value"][0]
        assert status["err"] == {"InstructionError": [0, {"Custom": 1}]}
        assert node.ledger.balance(alice.pubkey()) == 10 * SOL - 5000


async def test_preflight_looks_at_its_own_commitment_level() -> None:
    async with running() as node:
        alice = node.funded()
        young = node.signed([pay(alice, Keypair().pubkey(), SOL)], alice, blockhash=node.ledger.latest_blockhash("confirmed").hash)
        error = await node.error("sendTransaction", b64(young), BASE64)  # finalized by default, where the hash is not known yet
        assert error["message"] == "Transaction simulation failed: Blockhash not found"
        await node.result("sendTransaction", b64(young), BASE64 | {"preflightCommitment": "confirmed"})


async def test_transactions_that_are_none() -> None:
    async with running() as node:
        alice = node.funded()
        good = bytes(node.signed([pay(alice, Keypair().pubkey(), SOL)], alice))
        for body, message in (
            ("!!!", "invalid base64 encoding: InvalidByte(0, 33)"),
            (
                b64(good[:60]),
                "failed to deserialize solana_transaction::versioned::VersionedTransaction: io error: failed to fill whole buffer",
            ),
            (
                b64(bytes(1300)),
                "base64 encoded solana_transaction::versioned::VersionedTransaction too large: 1736 bytes (max: encoded/raw 1644/1232)",
            ),
        ):
            assert await node.error("sendTransaction", body, BASE64) == {"code": -32602, "message": message}
        wrong = VersionedTransaction.populate(VersionedTransaction.from_bytes(good).message, [Signature.default()])
        error = await node.error("sendTransaction", b64(wrong), BASE64)
        assert (error["code"], error["data"]["err"]) == (-32002, "SignatureFailure")
        assert await node.result("sendTransaction", base58.encode(good)) == str(VersionedTransaction.from_bytes(good).signatures[0])


async def test_simulating() -> None:
    async with running() as node:
        alice, bob = node.funded(), Keypair().pubkey()
        message = MessageV0.try_compile(alice.pubkey(), [pay(alice, bob, SOL)], [], Hash.default())
        unsigned = b64(VersionedTransaction.populate(message, [Signature.default()]))
        accounts = {"encoding": "base64", "addresses": [str(bob)]}
        options = BASE64 | {"replaceRecentBlockhash": True, "accounts": accounts, "innerInstructions": True}
        value = (await node.result("simulateTransaction", unsigned, options))["value"]
        assert (value["err"], value["fee"], value["unitsConsumed"], value["innerInstructions"]) == (None, 5000, 150, [])
        assert value["logs"][0] == "Program 11111111111111111111111111111111 invoke [1]"
        assert value["accounts"][0]["lamports"] == SOL
        assert value["replacementBlockhash"]["blockhash"] == str(node.ledger.latest_blockhash("finalized").hash)
        assert (await node.result("simulateTransaction", unsigned, BASE64))["value"]["err"] == "BlockhashNotFound"
        assert (await node.result("simulateTransaction", unsigned, BASE64 | {"sigVerify": True}))["value"]["err"] == "SignatureFailure"
        error = await node.error("simulateTransaction", unsigned, BASE64 | {"sigVerify": True, "replaceRecentBlockhash": True})
        assert error["message"] == "sigVerify may not be used with replaceRecentBlockhash"
        assert node.ledger.account(bob) is None


async def test_an_airdrop_is_a_transaction() -> None:
    async with running() as node:
        signature = await node.result("requestAirdrop", NOBODY, SOL)
        assert (await node.result("getSignatureStatuses", [signature]))["value"][0]["err"] is None
        assert (await node.result("getBalance", NOBODY, CONFIRMED))["value"] == SOL
        assert (await node.error("requestAirdrop", NOBODY, 2**63))["code"] == -32603
        assert (await node.error("requestAirdrop", NOBODY, -1))["code"] == -32602


async def test_three_hundred_posts_in_one_run() -> None:
    async with running(slot_seconds=0.05) as node:
        alice, bob = node.funded(1000 * SOL), Keypair().pubkey()

        async def post(number: int) -> None:
            latest = Hash.from_string((await node.result("getLatestBlockhash", CONFIRMED))["value"]["blockhash"])
            transaction = node.signed([pay(alice, bob, SOL + number)], alice, blockhash=latest)
            options = BASE64 | {"preflightCommitment": "confirmed"}
            signature = await node.result("sendTransaction", b64(transaction), options)
            status = (await node.result("getSignatureStatuses", [signature]))["value"][0]
            assert status["err"] is None
            assert status["confirmationStatus"] in ("confirmed", "finalized")

        for start in range(0, 300, 10):
            await asyncio.gather(*[post(number) for number in range(start, start + 10)])
        assert node.ledger.balance(bob) == 300 * SOL + sum(range(300))
        assert node.ledger.balance(alice.pubkey()) == 700 * SOL - sum(range(300)) - 300 * 5000


async def test_every_method_survives_every_kind_of_parameter() -> None:
    async with running() as node:
        values: list[Any] = [None, True, -1, 2**70, 1.5, "", "é", NOBODY, [], ["x"], {}, {"encoding": 5}, {"filters": [{}]}, {"mint": 1}]
        for method in METHODS:
            batch = [
                {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
                for value in values
                for params in ([value], [NOBODY, value], [value, value, value])
            ]
            async with node.session.post(node.url, data=json.dumps(batch), headers={"Content-Type": "application/json"}) as response:
                for answer in await response.json():
                    assert answer.get("error", {}).get("code") != -32603, (method, answer)
