"""What is asked of an RPC node, each question with the result of a right answer, and landed transactions of a job's life."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import struct
from collections.abc import Awaitable, Callable
from typing import Any

from ansible_collections.nosana.compute.plugins.module_utils._clients import program
from ansible_collections.nosana.compute.plugins.module_utils._clients.base58 import b58encode
from ansible_collections.nosana.compute.plugins.module_utils._clients.rpc import Rpc

KEY = "9C6hybhQ6Aycep9jaUnP6uL9ZYvDjUp1aSkFWPUFJtpj"
JOBS_PROGRAM = "nosJhNRqr2bc9g1nfGDcXXTXvYUmxD4cVwy2pMWhrYM"
ANCHOR = "Program log: AnchorError occurred. Error Code: MarketInWrongState. Error Number: 6001. Error Message: No.."
ACCOUNT = {"lamports": 1, "owner": KEY, "data": ["AAAA", "base64"], "executable": False, "rentEpoch": 0, "space": 3}
TOKENS = ACCOUNT | {"owner": program.TOKEN_PROGRAM, "data": ["A" * 220, "base64"]}
SLOT = {"context": {"slot": 1}}
FAILURE = {
    "code": -32002,
    "message": "Transaction simulation failed",
    "data": {"err": {"InstructionError": [0, {"Custom": 1}]}, "logs": [ANCHOR], "unitsConsumed": 1},
}


def transaction(word: str, arguments: bytes = b"") -> dict[str, Any]:
    """A landed transaction that called one instruction of the jobs program with the job KEY, and moved a token."""
    places = len(program.INSTRUCTIONS[word].split())
    others = [b58encode(bytes([number]) * 32) for number in range(1, places)]
    keys = [KEY, *others, program.TOKEN_PROGRAM, JOBS_PROGRAM]
    called = {"programIdIndex": places + 1, "accounts": list(range(places)), "data": b58encode(_start(word) + arguments)}
    moved = {"programIdIndex": places, "accounts": [1, 2, 0], "data": b58encode(b"\x03" + struct.pack("<Q", 5))}
    amount = {"accountIndex": 1, "mint": KEY, "owner": KEY, "uiTokenAmount": {"amount": "7", "decimals": 6, "uiAmountString": "0.000007"}}
    meta = {
        "err": None,
        "fee": 5000,
        "preBalances": [9] * len(keys),
        "postBalances": [7] * len(keys),
        "preTokenBalances": [amount],
        "postTokenBalances": [amount],
        "innerInstructions": [{"index": 0, "instructions": [moved]}],
        "loadedAddresses": {"writable": [], "readonly": []},
        "logMessages": ["Program log: done"],
    }
    message = {"accountKeys": keys, "instructions": [called], "recentBlockhash": KEY, "header": {}}
    return {"slot": 5, "blockTime": 1700000000, "meta": meta, "transaction": {"message": message, "signatures": [KEY]}, "version": 0}


def _start(word: str) -> bytes:
    return program.discriminator("global", word)


TRANSACTIONS = [
    transaction("list", b"\x01" * 32 + struct.pack("<q", 60)),
    transaction("finish", b"\x02" * 32),
    transaction("end"),
    transaction("clean"),
    transaction("delist"),
]

# A question, and the result of a right answer.
CALLS: list[tuple[Callable[[Rpc], Awaitable[Any]], Any]] = [
    (lambda rpc: rpc.get_account(KEY), {**SLOT, "value": [ACCOUNT]}),
    (lambda rpc: rpc.get_multiple_accounts([KEY, KEY]), {**SLOT, "value": [ACCOUNT, None]}),
    (lambda rpc: rpc.get_program_accounts(KEY, filters=[]), [{"pubkey": KEY, "account": ACCOUNT}]),
    (lambda rpc: rpc.get_balance(KEY), {**SLOT, "value": 5}),
    (lambda rpc: rpc.get_token_balance(KEY), {**SLOT, "value": [TOKENS]}),
    (lambda rpc: rpc.get_genesis_hash(), KEY),
    (lambda rpc: rpc.get_latest_blockhash(), {**SLOT, "value": {"blockhash": KEY, "lastValidBlockHeight": 5}}),
    (lambda rpc: rpc.get_height(), {"absoluteSlot": 5, "blockHeight": 5}),
    (lambda rpc: rpc.get_recent_prioritization_fees([KEY]), [{"slot": 1, "prioritizationFee": 5}]),
    (lambda rpc: rpc.get_signatures_for_address(KEY), [{"signature": KEY, "slot": 1, "err": None}]),
    (lambda rpc: rpc.get_signature_status(KEY), {**SLOT, "value": [{"slot": 1, "err": None, "confirmationStatus": "confirmed"}]}),
    (lambda rpc: rpc.get_transaction_logs(KEY), {"meta": {"logMessages": ["x"]}}),
    (lambda rpc: rpc.simulate_transaction(b"x"), {**SLOT, "value": {"err": None, "logs": ["x"], "unitsConsumed": 5}}),
    (lambda rpc: rpc.send_transaction(b"x", action="post the job"), KEY),
    (lambda rpc: rpc.get_transaction(KEY), TRANSACTIONS[0]),
]
