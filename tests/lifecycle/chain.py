"""The suite's own eyes and hands on a chain: JSON-RPC as it is written down, nothing of the collection's clients.

Everything is read at, and every transaction waited for until, the level that the collection works at: confirmed.
"""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import httpx
from solders.account import Account
from solders.hash import Hash
from solders.instruction import Instruction
from solders.keypair import Keypair
from solders.message import MessageV0
from solders.pubkey import Pubkey
from solders.transaction import VersionedTransaction

from nosana_localnet import idl
from nosana_localnet.genesis import JOBS_PROGRAM
from nosana_localnet.ledger import token_address

CONFIRMED = {"commitment": "confirmed"}
CLOCK_SYSVAR = Pubkey.from_string("SysvarC1ock11111111111111111111111111111111")
PATIENCE_SECONDS = 60.0
LOOK_SECONDS = 0.05

Value = TypeVar("Value")


class Failed(Exception):
    """The node refused a transaction; `err` and `logs` as it says."""

    def __init__(self, err: Any, logs: list[str]) -> None:
        super().__init__("\n  ".join([f"{err}", *logs]))
        self.err = err
        self.logs = logs


class Chain:
    """A node of a chain, reached at an URL."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._http = httpx.Client(timeout=30, trust_env=False)

    def rpc(self, method: str, *params: Any) -> Any:
        """The result; AssertionError for an error."""
        answer = self.ask(method, *params)
        assert "error" not in answer, answer["error"]
        return answer["result"]

    def ask(self, method: str, *params: Any) -> dict[str, Any]:
        """The whole answer, result or error."""
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        answer: dict[str, Any] = self._http.post(self.url, json=body).json()
        return answer

    # --- writing ------------------------------------------------------------------------------------------------------

    def sign(self, instructions: Sequence[Instruction], signers: Sequence[Keypair]) -> VersionedTransaction:
        """A transaction that may land now; the first signer pays the fee."""
        return VersionedTransaction(MessageV0.try_compile(signers[0].pubkey(), list(instructions), [], self.blockhash()), list(signers))

    def slot(self) -> int:
        """The newest one."""
        found: int = self.rpc("getSlot", CONFIRMED)
        return found

    def blockhash(self) -> Hash:
        """The newest one."""
        return Hash.from_string(self.rpc("getLatestBlockhash", CONFIRMED)["value"]["blockhash"])

    def send(self, instructions: Sequence[Instruction], signers: Sequence[Keypair]) -> str:
        """Sends a transaction and returns its signature when it is confirmed. Failed when the node runs it first and it fails."""
        transaction = self.sign(instructions, signers)
        options = {"encoding": "base64", "preflightCommitment": "confirmed"}
        answer = self.ask("sendTransaction", base64.b64encode(bytes(transaction)).decode(), options)
        if "error" in answer:
            data = answer["error"].get("data") or {}
            raise Failed(data.get("err", answer["error"]), data.get("logs") or [])
        signature = str(answer["result"])
        status = until(lambda: self.confirmed(signature))
        assert status["err"] is None, status
        return signature

    def confirmed(self, signature: str) -> Any:
        """A transaction's status as soon as it is confirmed, None before."""
        (status,) = self.rpc("getSignatureStatuses", [signature])["value"]
        return status if status and status["confirmationStatus"] in ("confirmed", "finalized") else None

    # --- reading ------------------------------------------------------------------------------------------------------

    def data(self, address: Pubkey) -> bytes | None:
        """An account's data, None where there is no account."""
        value = self.rpc("getAccountInfo", str(address), {**CONFIRMED, "encoding": "base64"})["value"]
        return None if value is None else base64.b64decode(value["data"][0])

    def accounts(self, addresses: Sequence[Pubkey]) -> dict[Pubkey, Account | None]:
        """Many accounts at one moment."""
        values = self.rpc("getMultipleAccounts", [str(address) for address in addresses], {**CONFIRMED, "encoding": "base64"})["value"]
        found = [
            value and Account(value["lamports"], base64.b64decode(value["data"][0]), Pubkey.from_string(value["owner"])) for value in values
        ]
        return dict(zip(addresses, found, strict=True))

    def job(self, address: Pubkey) -> dict[str, Any] | None:
        """A job's fields, None where there is no account."""
        data = self.data(address)
        return None if data is None else idl.decode_account("JobAccount", data)

    def jobs_of(self, project: Pubkey) -> list[Pubkey]:
        """Addresses of all job accounts of an owner."""
        options = {**CONFIRMED, "encoding": "base64", "filters": [{"memcmp": {"offset": 176, "bytes": str(project)}}]}
        return [Pubkey.from_string(entry["pubkey"]) for entry in self.rpc("getProgramAccounts", str(JOBS_PROGRAM), options)]

    def run_of(self, job: Pubkey) -> tuple[Pubkey, dict[str, Any]]:
        """Address and fields of the one run account of a job."""
        (found,) = self.runs_of(job)
        return found

    def runs_of(self, job: Pubkey) -> list[tuple[Pubkey, dict[str, Any]]]:
        """Addresses and fields of the run accounts of a job: one while a host runs it."""
        options = {**CONFIRMED, "encoding": "base64", "filters": [{"dataSize": 120}, {"memcmp": {"offset": 8, "bytes": str(job)}}]}
        return [
            (Pubkey.from_string(entry["pubkey"]), idl.decode_account("RunAccount", base64.b64decode(entry["account"]["data"][0])))
            for entry in self.rpc("getProgramAccounts", str(JOBS_PROGRAM), options)
        ]

    def lamports(self, address: Pubkey) -> int:
        """SOL in lamports."""
        return int(self.rpc("getBalance", str(address), CONFIRMED)["value"])

    def nos(self, owner: Pubkey) -> int:
        """NOS in base units, of the owner's associated token account."""
        return self.tokens(token_address(owner))

    def tokens(self, account: Pubkey) -> int:
        """Base units in a token account; 0 where there is none."""
        data = self.data(account)
        return 0 if data is None else int.from_bytes(data[64:72], "little")

    def signatures_of(self, address: Pubkey) -> set[str]:
        """Transactions that named an address and landed, failed or not."""
        return {entry["signature"] for entry in self.rpc("getSignaturesForAddress", str(address), CONFIRMED)}

    def fee(self, signature: str) -> int:
        """What a transaction cost, in lamports."""
        return int(until(lambda: self.transaction(signature, "base64"))["meta"]["fee"])

    def transaction(self, signature: str, encoding: str) -> Any:
        """A transaction that landed, None while the node does not have it yet."""
        return self.rpc("getTransaction", signature, {**CONFIRMED, "encoding": encoding, "maxSupportedTransactionVersion": 0})

    def now(self) -> int:
        """Unix seconds as programs see them."""
        data = self.data(CLOCK_SYSVAR)
        assert data is not None
        return int.from_bytes(data[32:40], "little", signed=True)


def until(look: Callable[[], Value | None], *, seconds: float = PATIENCE_SECONDS) -> Value:
    """What `look` finds, as soon as it finds something. A chain takes its time: look often, and give up after a while."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(LOOK_SECONDS)
    return found
