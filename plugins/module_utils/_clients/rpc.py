"""Solana JSON-RPC: one method for each question that the collection asks, each answer checked before it is believed."""
# Copyright (c) 2026, The nosana.compute contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection and may change without notice.

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from .errors import Refused, UnexpectedAnswer
from .program import TOKEN_PROGRAM, program_error

if TYPE_CHECKING:
    from .http import Http

Value = TypeVar("Value")

LABEL = "Solana RPC node"
ADVICE = "rpc_url or NOSANA_RPC_URL"
_KEYS_PER_REQUEST = 100
_MAX_BYTES = 64 * 1024 * 1024
_PREFLIGHT_FAILURE = -32002


@dataclass(frozen=True)
class Account:
    """An account's state; `owner` is the program that it belongs to, base58."""

    lamports: int
    owner: str
    data: bytes


@dataclass(frozen=True)
class Blockhash:
    """A recent blockhash and the last block height at which a transaction with it may land."""

    hash: str
    last_valid_block_height: int


@dataclass(frozen=True)
class SignatureStatus:
    """What became of a transaction; `err` None means success, `confirmation` is processed, confirmed or finalized."""

    slot: int
    err: Any
    confirmation: str


@dataclass(frozen=True)
class Simulation:
    """What a transaction would do: `err` None means success, `units` are compute units."""

    err: Any
    logs: list[str]
    units: int


class Rpc:
    """One RPC node at one commitment level. All keys, hashes and signatures are base58."""

    def __init__(self, http: Http, url: str, *, commitment: str = "confirmed") -> None:
        self._http = http
        self._url = url
        self._commitment = {"commitment": commitment}
        self._id = 0

    async def get_account(self, key: str) -> Account | None:
        """The account, or None where there is none."""
        return (await self.get_multiple_accounts([key]))[0]

    async def get_multiple_accounts(self, keys: Sequence[str]) -> list[Account | None]:
        """The accounts in the order of the keys; those of one request (100 keys) are from the same slot."""
        found: list[Account | None] = []
        for start in range(0, len(keys), _KEYS_PER_REQUEST):
            part = list(keys[start : start + _KEYS_PER_REQUEST])
            accounts = await self._ask(
                "getMultipleAccounts",
                [part, {**self._commitment, "encoding": "base64"}],
                lambda result: [None if entry is None else _account(entry) for entry in result["value"]],
            )
            if len(accounts) != len(part):
                raise UnexpectedAnswer(f"The {LABEL} answered {len(accounts)} accounts to a question for {len(part)}.")
            found += accounts
        return found

    async def get_program_accounts(self, program: str, *, filters: Sequence[dict[str, Any]]) -> list[tuple[str, Account]]:
        """Address and account of all that the program owns and the filters let through; many public nodes refuse this."""
        options = {**self._commitment, "encoding": "base64", "filters": list(filters)}
        return await self._ask(
            "getProgramAccounts",
            [program, options],
            lambda result: [(_text(entry["pubkey"]), _account(entry["account"])) for entry in result],
        )

    async def get_balance(self, key: str) -> int:
        """Lamports."""
        return await self._ask("getBalance", [key, self._commitment], lambda result: _number(result["value"]))

    async def get_token_balance(self, token_account: str) -> int | None:
        """Base units of the token; None where the token account does not exist."""
        account = await self.get_account(token_account)
        if account is None:
            return None
        if account.owner != TOKEN_PROGRAM or len(account.data) < 72:
            raise UnexpectedAnswer(f"{token_account} should be a token account and is something else.")
        return int.from_bytes(account.data[64:72], "little")

    async def get_minimum_balance_for_rent_exemption(self, size: int) -> int:
        """Lamports that an account of so many bytes has to hold."""
        return await self._ask("getMinimumBalanceForRentExemption", [size], _number)

    async def get_genesis_hash(self) -> str:
        """Which chain this is."""
        return await self._ask("getGenesisHash", [], _text)

    async def get_latest_blockhash(self) -> Blockhash:
        """For a transaction about to be signed."""
        return await self._ask(
            "getLatestBlockhash",
            [self._commitment],
            lambda result: Blockhash(_text(result["value"]["blockhash"]), _number(result["value"]["lastValidBlockHeight"])),
        )

    async def get_block_height(self) -> int:
        """The height to compare last_valid_block_height with."""
        return await self._ask("getBlockHeight", [self._commitment], _number)

    async def get_recent_prioritization_fees(self, keys: Sequence[str]) -> list[int]:
        """Recent priority fees in micro-lamports a compute unit, as the node has them, unsorted."""
        return await self._ask(
            "getRecentPrioritizationFees", [list(keys)], lambda result: [_number(entry["prioritizationFee"]) for entry in result]
        )

    async def get_signatures_for_address(self, key: str, *, limit: int = 1) -> list[str]:
        """The newest transactions that named the address, failed ones included."""
        return await self._ask(
            "getSignaturesForAddress",
            [key, {**self._commitment, "limit": limit}],
            lambda result: [_text(entry["signature"]) for entry in result],
        )

    async def get_signature_statuses(self, signatures: Sequence[str]) -> list[SignatureStatus | None]:
        """What became of the transactions; None where the node knows nothing."""
        statuses = await self._ask(
            "getSignatureStatuses",
            [list(signatures), {"searchTransactionHistory": True}],
            lambda result: [None if entry is None else _status(entry) for entry in result["value"]],
        )
        if len(statuses) != len(signatures):
            raise UnexpectedAnswer(f"The {LABEL} answered {len(statuses)} statuses to a question for {len(signatures)}.")
        return statuses

    async def get_transaction_logs(self, signature: str) -> list[str]:
        """The log lines of a landed transaction; empty where the node does not have them."""
        options = {**self._commitment, "encoding": "base64", "maxSupportedTransactionVersion": 0}
        return await self._ask(
            "getTransaction", [signature, options], lambda result: _lines(((result or {}).get("meta") or {}).get("logMessages"))
        )

    async def simulate_transaction(self, raw: bytes) -> Simulation:
        """Runs the transaction without landing it; signatures are not checked and the blockhash is replaced."""
        options = {**self._commitment, "encoding": "base64", "sigVerify": False, "replaceRecentBlockhash": True}

        def read(result: Any) -> Simulation:
            value = result["value"]
            return Simulation(value["err"], _lines(value["logs"]), _number(value.get("unitsConsumed") or 0))

        return await self._ask("simulateTransaction", [_base64(raw), options], read)

    async def send_transaction(self, raw: bytes, *, action: str) -> str:
        """Hands the signed transaction to the node, which runs it first; a failure there has cost nothing.

        The same bytes can land only once, so trying again after a broken connection is safe.
        """
        options = {"encoding": "base64", "preflightCommitment": self._commitment["commitment"], "maxRetries": 0}
        try:
            return await self._ask("sendTransaction", [_base64(raw), options], _text)
        except Refused as error:
            data = error.details.get("data")
            if error.details.get("rpc_code") == _PREFLIGHT_FAILURE and isinstance(data, dict) and data.get("err") is not None:
                raise program_error(data["err"], _lines(data.get("logs")), action=action) from None
            raise

    async def _ask(self, method: str, params: list[Any], read: Callable[[Any], Value]) -> Value:
        self._id += 1
        body = json.dumps({"jsonrpc": "2.0", "id": self._id, "method": method, "params": params}).encode()
        response = await self._http.request(
            "POST", self._url, label=LABEL, advice=ADVICE, content=body, headers={"Content-Type": "application/json"}, max_bytes=_MAX_BYTES
        )
        if response.status in (401, 403):
            raise Refused(
                f"The {LABEL} refuses access (HTTP {response.status}); check the key in rpc_url or NOSANA_RPC_URL.", status=response.status
            )
        answer = response.json()
        if not isinstance(answer, dict):
            raise UnexpectedAnswer(f"The {LABEL} answered {method} with something that is no JSON-RPC answer (HTTP {response.status}).")
        if isinstance(answer.get("error"), dict):
            error = answer["error"]
            raise Refused(
                f"The {LABEL} refuses {method}: {str(error.get('message'))[:300]} ({error.get('code')}).",
                rpc_code=error.get("code"),
                data=error.get("data"),
            )
        if response.status != 200 or "result" not in answer:
            raise UnexpectedAnswer(
                f"The {LABEL} answered {method} without a result (HTTP {response.status}); is rpc_url a Solana RPC node?"
            )
        try:
            return read(answer["result"])
        except (KeyError, TypeError, ValueError, IndexError, AttributeError, binascii.Error):
            raise UnexpectedAnswer(f"The {LABEL} answered {method} in a shape that cannot be read.") from None


def _account(entry: Any) -> Account:
    content, encoding = entry["data"]
    if encoding != "base64":
        raise ValueError(encoding)
    return Account(_number(entry["lamports"]), _text(entry["owner"]), base64.b64decode(content, validate=True))


def _status(entry: Any) -> SignatureStatus:
    return SignatureStatus(_number(entry["slot"]), entry["err"], str(entry.get("confirmationStatus") or "processed"))


def _number(value: Any) -> int:
    """Amounts, slots and heights are whole and never negative."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(value)
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(value)
    return value


def _lines(value: Any) -> list[str]:
    """Log lines decide only how an error is worded, so what is none is left out."""
    return [line for line in value if isinstance(line, str)] if isinstance(value, list) else []


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")
