"""Solana JSON-RPC: one method for each question that the collection asks, each answer checked before it is believed."""
# Copyright (c) 2026, The nosana.compute contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection and may change without notice.

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from .base58 import b58decode
from .errors import NosanaError, Refused, SearchRefused, UnexpectedAnswer, Unreachable
from .http import redact_url
from .program import TOKEN_PROGRAM, program_error, said
from .servers import Servers

if TYPE_CHECKING:
    from .http import Http, Response

Value = TypeVar("Value")

LABEL = "Solana RPC node"
ADVICE = "rpc_url or NOSANA_RPC_URL"
KEYS_PER_REQUEST = 100
_MAX_BYTES = 8 * 1024 * 1024  # a hundred markets are less than two
_MAX_SEARCH_BYTES = 64 * 1024 * 1024
_PREFLIGHT_FAILURE = -32002
_BEHIND = -32016
# Method not found; excluded from the node's indexes. Providers also say it in words.
_NO_SUCH_SEARCH = (-32601, -32010)
_SEARCH_REFUSED = re.compile(
    r"disabled|excluded|forbidden|(not|n't|un) ?-?(available|supported|allowed|enabled|permitted)|upgrade|paid plan", re.IGNORECASE
)
_BEHIND_SECONDS, _BEHIND_SLEEP_SECONDS = 15.0, 0.5
_TRANSFER, _TRANSFER_CHECKED = 3, 12
_MOST_LOG_LINES, _MOST_LOG_CHARACTERS = 200, 1000


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
class Snapshot:
    """Accounts as they all stood at one slot; what is not in `accounts` did not exist."""

    slot: int
    accounts: Mapping[str, Account]


class HistoryEntry(NamedTuple):
    """A transaction that named an address: whether it succeeded, the unix time of its block where the node knows it, and its slot."""

    signature: str
    succeeded: bool
    time: int | None = None
    slot: int = 0


@dataclass(frozen=True)
class Transfer:
    """Tokens moved by the top-level instruction with that index, or by a program that it called; token accounts and base units."""

    instruction: int
    source: str
    destination: str
    amount: int


@dataclass(frozen=True)
class Simulation:
    """What a transaction would do: `err` None means success, `units` are compute units.

    `transfers` None: the node does not tell.
    """

    err: Any
    logs: list[str]
    units: int
    transfers: tuple[Transfer, ...] | None = None


@dataclass(frozen=True)
class Call:
    """One instruction of a landed transaction, or of a program that it called; `index` is that of the top-level instruction."""

    index: int
    program: str
    accounts: tuple[str, ...]
    data: bytes


@dataclass(frozen=True)
class Transaction:
    """A landed transaction: what it called and what it did to balances. Lamports, and base units by token account."""

    slot: int
    err: Any
    time: int | None
    fee_lamports: int
    calls: tuple[Call, ...]
    lamports_change: Mapping[str, int]
    tokens_change: Mapping[str, int] = field(default_factory=dict)

    @property
    def transfers(self) -> tuple[Transfer, ...]:
        """The tokens that it moved."""
        return tuple(transfer for call in self.calls if (transfer := _transfer(call)) is not None)


class Rpc:
    """One RPC node, or several that are asked in turn, at one commitment level. All keys, hashes and signatures are base58.

    Nodes behind one address differ in how far they are. A read never answers from before :meth:`not_before`'s slot: a decision to spend must
    not rest on a state older than what was seen or written already.
    """

    def __init__(self, http: Http, urls: str | Sequence[str], *, commitment: str = "confirmed", genesis_hash: str | None = None) -> None:
        """genesis_hash: of the chain that is meant, where it is known; a node that stands in for another one has to be of the same chain."""
        self._http = http
        self._servers = Servers(http.clock, urls, label=LABEL, advice=ADVICE)
        self._genesis_hash = genesis_hash
        self._same_chain: set[str] = {self._servers.urls[0]}
        self._commitment = commitment
        self._slot = 0
        self._id = 0

    def not_before(self, slot: int) -> None:
        """From now on reads are answered from this slot or a later one."""
        self._slot = max(self._slot, slot)

    @property
    def slot(self) -> int:
        """From which slot on reads are answered; 0 from any."""
        return self._slot

    async def get_account(self, key: str) -> Account | None:
        """The account, or None where there is none."""
        return (await self.get_multiple_accounts([key]))[0]

    async def get_multiple_accounts(self, keys: Sequence[str]) -> list[Account | None]:
        """The accounts in the order of the keys; those of one request (100 keys) are from the same slot."""
        found: list[Account | None] = []
        for start in range(0, len(keys), KEYS_PER_REQUEST):
            part = list(keys[start : start + KEYS_PER_REQUEST])
            snapshot = await self.snapshot(part)
            found += [snapshot.accounts.get(key) for key in part]
        return found

    async def snapshot(self, keys: Sequence[str]) -> Snapshot:
        """The accounts of up to 100 keys as they stood at one slot."""
        slot, accounts = await self._ask(
            "getMultipleAccounts",
            [list(keys), self._options(encoding="base64")],
            lambda result: (
                _number(result["context"]["slot"]),
                [None if entry is None else _account(entry) for entry in result["value"]],
            ),
        )
        if len(accounts) != len(keys):
            raise UnexpectedAnswer(f"The {LABEL} answered {len(accounts)} accounts to a question for {len(keys)}.")
        return Snapshot(slot, {key: account for key, account in zip(keys, accounts, strict=True) if account is not None})

    async def get_program_accounts(self, program: str, *, filters: Sequence[dict[str, Any]]) -> list[tuple[str, Account]]:
        """Address and account of all that the program owns and the filters let through.

        Many public nodes refuse this: SearchRefused. What says nothing of the kind, such as a node that is not well, stays an error.
        """
        try:
            return await self._ask(
                "getProgramAccounts",
                [program, self._options(encoding="base64", filters=list(filters))],
                lambda result: [(_key(entry["pubkey"]), _account(entry["account"])) for entry in result],
            )
        except Refused as error:
            code, status = error.details.get("rpc_code"), error.details.get("status")
            if code in _NO_SUCH_SEARCH or status in (403, 405, 410) or (code is not None and _SEARCH_REFUSED.search(str(error))):
                raise SearchRefused(str(error), **error.details) from None
            raise

    async def get_balance(self, key: str) -> int:
        """Lamports."""
        return await self._ask("getBalance", [key, self._options()], lambda result: _number(result["value"]))

    async def get_token_balance(self, token_account: str) -> int | None:
        """Base units of the token; None where the token account does not exist."""
        account = await self.get_account(token_account)
        if account is None:
            return None
        if account.owner != TOKEN_PROGRAM or len(account.data) < 72:
            raise UnexpectedAnswer(f"{token_account} should be a token account and is something else.")
        return int.from_bytes(account.data[64:72], "little")

    async def get_genesis_hash(self) -> str:
        """Which chain this is."""
        found = await self._ask("getGenesisHash", [], _text)
        self._genesis_hash = self._genesis_hash or found  # the first node may be lost before another one has to stand in for it
        return found

    async def get_latest_blockhash(self) -> Blockhash:
        """For a transaction about to be signed. Whatever is asked afterwards is asked of nodes that know it."""
        slot, blockhash = await self._ask(
            "getLatestBlockhash",
            [self._options()],
            lambda result: (
                _number(result["context"]["slot"]),
                Blockhash(_key(result["value"]["blockhash"]), _number(result["value"]["lastValidBlockHeight"])),
            ),
        )
        self.not_before(slot)
        return blockhash

    async def get_height(self) -> tuple[int, int]:
        """The slot, and the block height to compare last_valid_block_height with."""
        return await self._ask(
            "getEpochInfo",
            [{"commitment": self._commitment}],
            lambda result: (_number(result["absoluteSlot"]), _number(result["blockHeight"])),
        )

    async def get_block_height(self, slot: int) -> int | None:
        """The height of the block of that slot; None where the node does not tell."""
        options = {"commitment": self._commitment, "transactionDetails": "none", "rewards": False, "maxSupportedTransactionVersion": 0}
        try:
            return await self._ask("getBlock", [slot, options], lambda result: _time(result["blockHeight"]))
        except NosanaError:
            return None

    async def get_recent_prioritization_fees(self, keys: Sequence[str]) -> list[int]:
        """Recent priority fees in micro-lamports a compute unit, as the node has them, unsorted."""
        return await self._ask(
            "getRecentPrioritizationFees", [list(keys)], lambda result: [_number(entry["prioritizationFee"]) for entry in result]
        )

    async def get_signatures_for_address(self, key: str, *, limit: int = 1) -> list[HistoryEntry]:
        """The newest transactions that named the address, failed ones included. What is asked afterwards is asked of nodes that know them,
        else one that is behind could say that what was just seen never was.
        """
        found = await self._ask(
            "getSignaturesForAddress",
            [key, self._options(limit=limit)],
            lambda result: [_history_entry(entry) for entry in result],
        )
        self.not_before(max((entry.slot for entry in found), default=0))
        return found

    async def get_signature_status(self, signature: str) -> tuple[int, SignatureStatus | None]:
        """The slot that the node has reached, and what became of the transaction; None where the node knows nothing of it."""
        slot, statuses = await self._ask(
            "getSignatureStatuses",
            [[signature], {"searchTransactionHistory": True}],
            lambda result: (
                _number(result["context"]["slot"]),
                [None if entry is None else _status(entry) for entry in result["value"]],
            ),
        )
        if len(statuses) != 1:
            raise UnexpectedAnswer(f"The {LABEL} answered {len(statuses)} statuses to a question for one.")
        return slot, statuses[0]

    async def get_transaction(self, signature: str) -> Transaction | None:
        """A landed transaction; None where the node does not have it (yet, or any more)."""
        options = {"commitment": self._commitment, "encoding": "json", "maxSupportedTransactionVersion": 0}
        return await self._ask("getTransaction", [signature, options], lambda result: None if result is None else _transaction(result))

    async def get_transaction_logs(self, signature: str) -> list[str]:
        """The log lines of a landed transaction; empty where the node does not have them."""
        options = {"commitment": self._commitment, "encoding": "base64", "maxSupportedTransactionVersion": 0}
        return await self._ask(
            "getTransaction", [signature, options], lambda result: _lines(((result or {}).get("meta") or {}).get("logMessages"))
        )

    async def simulate_transaction(self, raw: bytes) -> Simulation:
        """Runs the transaction without landing it; signatures are not checked and the blockhash is replaced."""
        options = self._options(encoding="base64", sigVerify=False, replaceRecentBlockhash=True, innerInstructions=True)

        def read(result: Any) -> Simulation:
            value = result["value"]
            return Simulation(
                value["err"],
                _lines(value["logs"]),
                _number(value.get("unitsConsumed") or 0),
                _simulated_transfers(value.get("innerInstructions")),
            )

        return await self._ask("simulateTransaction", [_base64(raw), options], read)

    async def send_transaction(self, raw: bytes, *, action: str, everywhere: bool = False) -> str | None:
        """Hands the signed transaction to a node, which runs it first; a failure there has cost nothing.

        The same bytes can land only once, so trying again after a broken connection is safe. With `everywhere` they go to all nodes, so that
        one that is lost does not hold them back; what these say decides nothing, and None is returned.
        """
        options: dict[str, Any] = {"encoding": "base64", "preflightCommitment": self._commitment, "maxRetries": 0}
        if self._slot:
            options["minContextSlot"] = self._slot
        params = [_base64(raw), options]
        if everywhere:
            urls = [url for url in self._servers.urls if url in self._same_chain]
            await asyncio.gather(*(self._ask_once(url, "sendTransaction", params, _text) for url in urls), return_exceptions=True)
            return None
        try:
            return await self._ask("sendTransaction", params, _text, decides=_is_verdict)
        except Refused as error:
            data = error.details.get("data")
            if error.details.get("rpc_code") == _PREFLIGHT_FAILURE and isinstance(data, dict) and data.get("err") is not None:
                raise program_error(data["err"], _lines(data.get("logs")), action=action) from None
            raise

    def _options(self, **more: Any) -> dict[str, Any]:
        return {"commitment": self._commitment, **({"minContextSlot": self._slot} if self._slot else {}), **more}

    async def _ask(
        self, method: str, params: list[Any], read: Callable[[Any], Value], *, decides: Callable[[NosanaError], bool] | None = None
    ) -> Value:
        """The answer. A node that is behind the slot that we know of is asked again for a while."""

        async def question(url: str) -> Value:
            await self._check_chain(url)
            return await self._ask_once(url, method, params, read)

        waited = 0.0
        while True:
            try:
                return await self._servers.ask(question, decides=decides)
            except Refused as error:
                if error.details.get("rpc_code") != _BEHIND:
                    raise
                if waited >= _BEHIND_SECONDS:
                    raise Unreachable(
                        f"The {LABEL} is behind: it has not reached the slot {self._slot} that another answer showed; try again later, or set "
                        f"{ADVICE} to another node.",
                        label=LABEL,
                    ) from None
            await self._http.clock.sleep(_BEHIND_SLEEP_SECONDS)
            waited += _BEHIND_SLEEP_SECONDS

    async def _check_chain(self, url: str) -> None:
        """A node that stands in for the first one must be of its chain, else its "there is no such job" would be believed."""
        if url in self._same_chain:
            return
        if self._genesis_hash is None:
            self._genesis_hash = await self._ask_once(self._servers.urls[0], "getGenesisHash", [], _text)
        if await self._ask_once(url, "getGenesisHash", [], _text) != self._genesis_hash:
            raise UnexpectedAnswer(f"The {LABEL} at {redact_url(url)} serves another chain than is meant; check {ADVICE}.")
        self._same_chain.add(url)

    async def _ask_once(self, url: str, method: str, params: list[Any], read: Callable[[Any], Value]) -> Value:
        self._id += 1
        body = json.dumps({"jsonrpc": "2.0", "id": self._id, "method": method, "params": params}).encode()
        return await self._http.request(
            "POST",
            url,
            lambda response: _result(response, method, read),
            label=LABEL,
            advice=ADVICE,
            content=body,
            headers={"Content-Type": "application/json"},
            max_bytes=_MAX_SEARCH_BYTES if method == "getProgramAccounts" else _MAX_BYTES,
            # A transaction is sent again by whoever sends it, who asks first whether that still makes sense.
            attempts=1 if method == "sendTransaction" else self._servers.attempts,
        )


def _result(response: Response, method: str, read: Callable[[Any], Value]) -> Value:
    """What `read` makes of the result in a JSON-RPC answer."""
    if response.status in (401, 403):
        raise Refused(
            f"The {LABEL} refuses access (HTTP {response.status}); check the key in rpc_url or NOSANA_RPC_URL.", status=response.status
        )
    answer = response.json()
    if not isinstance(answer, dict):
        raise UnexpectedAnswer(f"The {LABEL} answered {method} with something that is no JSON-RPC answer (HTTP {response.status}).")
    if isinstance(answer.get("error"), dict):
        error = answer["error"]
        code = error.get("code")
        known = isinstance(code, int) and abs(code) < 2**31
        raise Refused(
            f"The {LABEL} refuses {method}: {said(error.get('message'))} ({code if known else said(code)}).",
            rpc_code=code if known else None,
            data=_preflight(error.get("data")),
        )
    if response.status != 200 or "result" not in answer:
        raise UnexpectedAnswer(f"The {LABEL} answered {method} without a result (HTTP {response.status}); is rpc_url a Solana RPC node?")
    try:
        return read(answer["result"])
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError, RecursionError, binascii.Error):
        raise UnexpectedAnswer(f"The {LABEL} answered {method} in a shape that cannot be read.") from None


def _is_verdict(error: NosanaError) -> bool:
    """Whether a node has run the transaction and says what became of it, which another node would say too."""
    code: object = error.details.get("rpc_code")
    return code == _PREFLIGHT_FAILURE


def _preflight(data: Any) -> dict[str, Any] | None:
    """What is used of an error's data: the cause of a failed preflight and its log lines."""
    if not isinstance(data, dict) or "err" not in data:
        return None
    return {"err": data["err"], "logs": [line[:_MOST_LOG_CHARACTERS] for line in _lines(data.get("logs"))[-_MOST_LOG_LINES:]]}


def _account(entry: Any) -> Account:
    content, encoding = entry["data"]
    if encoding != "base64":
        raise ValueError(encoding)
    return Account(_number(entry["lamports"]), _key(entry["owner"]), base64.b64decode(content, validate=True))


def _transaction(result: Any) -> Transaction:
    meta, message = result["meta"], result["transaction"]["message"]
    loaded = meta.get("loadedAddresses") or {}
    keys = [_key(key) for key in [*message["accountKeys"], *loaded.get("writable", []), *loaded.get("readonly", [])]]
    calls = [_call(index, entry, keys) for index, entry in enumerate(message["instructions"])]
    for group in meta.get("innerInstructions") or []:
        calls += [_call(_number(group["index"]), entry, keys) for entry in group["instructions"]]
    before, after = ([_number(value) for value in meta[name]] for name in ("preBalances", "postBalances"))
    tokens: dict[str, int] = {}
    for sign, name in ((-1, "preTokenBalances"), (1, "postTokenBalances")):
        for entry in meta.get(name) or []:
            key = keys[_number(entry["accountIndex"])]
            tokens[key] = tokens.get(key, 0) + sign * int(entry["uiTokenAmount"]["amount"])
    return Transaction(
        slot=_number(result["slot"]),
        err=meta["err"],
        time=_time(result.get("blockTime")),
        fee_lamports=_number(meta["fee"]),
        calls=tuple(sorted(calls, key=lambda call: call.index)),
        lamports_change={key: new - old for key, old, new in zip(keys, before, after, strict=True)},
        tokens_change=tokens,
    )


def _call(index: int, entry: Any, keys: Sequence[str]) -> Call:
    accounts = tuple(keys[_number(number)] for number in entry["accounts"])
    return Call(index, keys[_number(entry["programIdIndex"])], accounts, b58decode(_text(entry["data"])))


def _transfer(call: Call) -> Transfer | None:
    """A transfer of the token program, in either of its forms."""
    if call.program != TOKEN_PROGRAM or len(call.data) < 9:
        return None
    amount = int.from_bytes(call.data[1:9], "little")
    if call.data[0] == _TRANSFER and len(call.accounts) >= 2:
        return Transfer(call.index, call.accounts[0], call.accounts[1], amount)
    if call.data[0] == _TRANSFER_CHECKED and len(call.accounts) >= 3:
        return Transfer(call.index, call.accounts[0], call.accounts[2], amount)
    return None


def _simulated_transfers(groups: Any) -> tuple[Transfer, ...] | None:
    """Simulation shows inner instructions in words, where the node knows them at all."""
    return tuple(_transfers_in_words(groups)) if isinstance(groups, list) else None


def _transfers_in_words(groups: list[Any]) -> Iterator[Transfer]:
    for group in groups:
        for entry in group["instructions"]:
            parsed = entry.get("parsed")
            if entry.get("program") == "spl-token" and isinstance(parsed, dict) and parsed.get("type") in ("transfer", "transferChecked"):
                info = parsed["info"]
                amount = info["amount"] if "amount" in info else info["tokenAmount"]["amount"]
                yield Transfer(_number(group["index"]), _text(info["source"]), _text(info["destination"]), int(amount))


def _history_entry(entry: Any) -> HistoryEntry:
    return HistoryEntry(_text(entry["signature"]), entry["err"] is None, _time(entry.get("blockTime")), _number(entry.get("slot") or 0))


def _status(entry: Any) -> SignatureStatus:
    return SignatureStatus(_number(entry["slot"]), entry["err"], str(entry.get("confirmationStatus") or "processed"))


def _number(value: Any) -> int:
    """Amounts, slots and heights are whole, never negative, and fit into 64 bits."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**64:
        raise ValueError
    return value


def _time(value: Any) -> int | None:
    return None if value is None else _number(value)


def _key(value: Any) -> str:
    """An address, or a hash of the same size, in base58."""
    if not isinstance(value, str) or not 32 <= len(value) <= 44 or len(b58decode(value)) != 32:
        raise ValueError
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
