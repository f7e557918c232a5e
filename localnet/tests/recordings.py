"""Recordings of the real program, and how one is replayed on our own."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# golden/golden.json: transactions sent to the real program. Each case holds the accounts before, the clock, the instructions and
# the signers, and what came out. Data is base64, or the hash of a compressed blob. golden/golden_fee10.json: the same with the
# network fee of before, a tenth of the deposit, which the rewards program takes.

from __future__ import annotations

import base64
import hashlib
import json
import re
import zlib
from pathlib import Path
from typing import Any

from solders.account import Account
from solders.clock import Clock
from solders.hash import Hash
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.litesvm import LiteSVM
from solders.message import Message
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.transaction import VersionedTransaction
from solders.transaction_metadata import FailedTransactionMetadata

from nosana_localnet import idl

RECORDED = {
    name: json.loads((Path(__file__).parent / "golden" / f"{name}.json").read_text(encoding="utf-8")) for name in ("golden", "golden_fee10")
}
FEE_FRACTION = {"golden": 0, "golden_fee10": 10}
BLOBS = {name: blob for recorded in RECORDED.values() for name, blob in recorded["blobs"].items()}
NAMES = {address: label for recorded in RECORDED.values() for address, label in recorded["names"].items()}
SEEDS = {entry["pubkey"]: bytes.fromhex(entry["seed_hex"]) for recorded in RECORDED.values() for entry in recorded["keys"].values()}
ERROR_LINE = re.compile(
    r"Error(?: caused by account: (\w+)| thrown in \S+| occurred)\. Error Code: (\w+)\. Error Number: (\d+)\. Error Message: (.*)$"
)
# Source positions and compute units belong to the compilation that was recorded.
COMPILED_IN = re.compile(r"(thrown in|panicked at) \S+")
CONSUMED = re.compile(r"Program \w+ consumed \d+ of \d+ compute units")


def data_of(entry: dict[str, Any]) -> bytes:
    if "data_b64" in entry:
        return base64.b64decode(entry["data_b64"])
    return zlib.decompress(base64.b64decode(BLOBS[entry["data_blob"]]["zlib_b64"]))


def account_of(entry: dict[str, Any] | None) -> Account | None:
    return None if entry is None else Account(entry["lamports"], data_of(entry), Pubkey.from_string(entry["owner"]))


def prepared(recording: str, case: dict[str, Any]) -> LiteSVM:
    svm = LiteSVM().with_sigverify(False).with_blockhash_check(False)
    programs = RECORDED[recording]["program"]
    svm.add_program(Pubkey.from_string(programs["jobs"]), idl.jobs_elf(FEE_FRACTION[recording]))
    svm.add_program(Pubkey.from_string(programs["rewards"]), idl.elf("nosana_rewards"))
    for key, entry in case["setup"].items():
        account = account_of(entry)
        if account is not None:
            svm.set_account(Pubkey.from_string(key), account)
    clock = case["clock"]
    svm.set_clock(Clock(clock["slot"], 0, clock["epoch"], clock["epoch"] + 1, clock["unix_timestamp"]))
    return svm


def transaction_of(case: dict[str, Any]) -> VersionedTransaction:
    instructions = [
        Instruction(
            Pubkey.from_string(entry["program_id"]),
            bytes.fromhex(entry["data_hex"]),
            [AccountMeta(Pubkey.from_string(meta["pubkey"]), meta["is_signer"], meta["is_writable"]) for meta in entry["accounts"]],
        )
        for entry in case.get("instructions") or [case["instruction"]]
    ]
    blockhash = Hash(hashlib.sha256(case["id"].encode()).digest())
    message = Message.new_with_blockhash(instructions, Pubkey.from_string(case["fee_payer"]), blockhash)
    # Two administrators' keys are nobody's; signatures are not checked here.
    signers = [str(key) for key in message.account_keys[: message.header.num_required_signatures]]
    signatures = [Keypair.from_seed(SEEDS[key]).sign_message(bytes(message)) if key in SEEDS else Signature.default() for key in signers]
    return VersionedTransaction.populate(message, signatures)


def comparable(logs: list[str]) -> list[str]:
    return [COMPILED_IN.sub("…", line) for line in logs if not CONSUMED.match(line)]


def errors(logs: list[str]) -> list[tuple[str, ...]]:
    return [found.groups(default="") for line in logs if (found := ERROR_LINE.search(line))]


def sent(recording: str, case: dict[str, Any]) -> tuple[Any, list[str], LiteSVM]:
    """The error, the log and the ledger after the transaction."""
    svm = prepared(recording, case)
    answer = svm.send_transaction(transaction_of(case))
    if isinstance(answer, FailedTransactionMetadata):
        return json.loads(answer.to_json())["err"], list(answer.meta().logs()), svm
    return None, list(answer.logs()), svm
