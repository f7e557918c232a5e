"""One long conversation with a node, about jobs and money, always in the same words: what the node says can be compared and recorded.

Everybody in it has a fixed key, so that answers differ only in what belongs to a chain's own time and chance, which `comparable` leaves out.
"""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import difflib
import hashlib
import itertools
import re
import struct
from collections.abc import Mapping, Sequence
from typing import Any

from actors import PROGRAMS, RENT_SYSVAR, Faucet, host_key, vault_of
from chain import CONFIRMED, Chain, until
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from solders.system_program import (
    AllocateParams,
    AssignParams,
    CreateAccountParams,
    TransferParams,
    allocate,
    assign,
    create_account,
    transfer,
)

from nosana_localnet import idl
from nosana_localnet.genesis import DEVNET_NOS_MINT, JOBS_PROGRAM, STAKING_PROGRAM, derive
from nosana_localnet.ledger import (
    COMPUTE_BUDGET_PROGRAM,
    MINT_BYTES,
    NATIVE_MINT,
    NOS_MINT,
    SYSTEM_PROGRAM,
    TOKEN_ACCOUNT_BYTES,
    TOKEN_PROGRAM,
    create_token_account,
    token_address,
)

SOL = 10**9
PRICE, MICRO_LAMPORTS = 7, 1_234_567
NOBODY = Pubkey(bytes([5] * 32))


def key(name: str) -> Keypair:
    """The key of somebody in the conversation."""
    return host_key(0) if name == "host" else Keypair.from_seed(hashlib.sha256(f"nosana.compute conversation {name}".encode()).digest())


def address(name: str) -> Pubkey:
    return key(name).pubkey()


class Conversation:
    """What was asked of one node, and what it said."""

    def __init__(self, chain: Chain, faucet: Faucet) -> None:
        self.said: dict[str, Any] = {}
        self._chain = chain
        self._faucet = faucet
        self._limits = itertools.count(300_000)

    def hold(self) -> None:
        """From the first word to the last."""
        self._begin()
        self._jobs()
        self._tokens()
        self._reads()

    def _begin(self) -> None:
        self._faucet.fund(address("owner"), lamports=SOL, nos=1_000_000)
        self._faucet.fund(address("poor"), lamports=3_500_000, nos=0)
        self._faucet.fund(address("stranger"), lamports=SOL)
        self._faucet.fund(address("host"), lamports=SOL)

    def _jobs(self) -> None:
        market = {"job_expiration": 1, "job_price": PRICE, "job_timeout": 600, "job_type": 4, "node_xnos_minimum": 0}
        listing = {"ipfs_job": bytes([9] * 32), "timeout": 1}
        listed = ["owner", "job", "run"]
        poor = {"user": token_address(address("poor")), "payer": address("poor"), "authority": address("poor")}
        host = {"run": address("host's run"), "payer": address("host"), "authority": address("host")}
        ending = {"run": address("host's run"), "payer": address("host"), "user": token_address(address("host"))}
        self._job("open", ["owner", "market"], market)
        self._job("list", ["poor", "job", "run"], listing, poor, what="list without NOS")
        self._job("list", listed, listing)
        self._job("list", listed, listing | {"timeout": 2}, what="list again")
        self._job("extend", ["owner"], {"timeout": 1}, what="extend by nothing")
        self._job("extend", ["owner"], {"timeout": 2})
        self._job("delist", ["stranger"], None, {"authority": address("stranger")}, what="delist by a stranger")
        self._job("work", ["host", "host's run"], None, host)
        self._job("delist", ["owner"], what="delist what runs")
        until(lambda: self._chain.now() >= self._chain.run_of(address("job"))[1]["time"] + 3)  # longer than the timeout: all is paid
        self._job("end", ["owner"], None, ending, what="end without the host's account")
        self._send("the host's account", [create_token_account(address("owner"), address("host"))], ["owner"])
        self._job("end", ["owner"], None, ending)
        self._job("complete", ["host"], {"ipfs_result": bytes([8] * 32)}, {"authority": address("host")})
        job = self._chain.job(address("job"))
        assert job is not None
        until(lambda: self._chain.now() > job["time_end"] + 2)
        self._job("clean", ["stranger"])
        self._job("list", listed, listing, {"market": token_address(address("owner"))}, what="list in a market that is none")
        self._job("close", ["owner"])

    def _tokens(self) -> None:
        me, you = address("owner"), address("host")
        mine, yours, wrapped = token_address(me), token_address(you), token_address(me, NATIVE_MINT)
        coin, medal, purse, other, room = (address(name) for name in ("coin", "medal", "purse", "other", "room"))
        self._send("tokens that are not there", [token(3, u64(10**12), mine, yours, signer=me)], ["owner"])
        self._send("SOL that is not there", [pay(me, you, 10**12)], ["owner"])
        self._send("SOL", [pay(me, you, 1)], ["owner"])
        steps = [
            pay(me, room, 2_000_000),
            allocate(AllocateParams(pubkey=room, space=10)),
            assign(AssignParams(pubkey=room, owner=STAKING_PROGRAM)),
        ]
        self._send("room", steps, ["owner", "room"])

        sizes = {coin: MINT_BYTES, medal: MINT_BYTES, purse: TOKEN_ACCOUNT_BYTES, other: TOKEN_ACCOUNT_BYTES}
        rents = {size: int(self._chain.rpc("getMinimumBalanceForRentExemption", size)) for size in set(sizes.values())}
        steps = [
            create_account(CreateAccountParams(from_pubkey=me, to_pubkey=made, lamports=rents[size], space=size, owner=TOKEN_PROGRAM))
            for made, size in sizes.items()
        ]
        steps += [
            token(20, bytes([6]) + bytes(me) + b"\1" + bytes(me), coin),
            token(0, bytes([0]) + bytes(me) + bytes(33), medal, RENT_SYSVAR),
            token(1, b"", purse, coin, me, RENT_SYSVAR),
            token(16, bytes(me), other, coin, RENT_SYSVAR),
        ]
        self._send("accounts of a token", steps, ["owner", "coin", "medal", "purse", "other"])
        self._read("accounts of a token", [coin, medal, purse, other])
        steps = [
            token(7, u64(1000), coin, purse, signer=me),
            token(14, u64(1000) + b"\6", coin, purse, signer=me),
            token(4, u64(50), purse, you, signer=me),
            token(13, u64(60) + b"\6", purse, coin, you, signer=me),
            token(5, b"", purse, signer=me),
            token(3, u64(3), purse, other, signer=me),
            token(12, u64(4) + b"\6", purse, coin, other, signer=me),
            token(8, u64(5), purse, coin, signer=me),
            token(15, u64(2) + b"\6", other, coin, signer=me),
            token(10, b"", other, coin, signer=me),
            token(11, b"", other, coin, signer=me),
            token(6, b"\0\1" + bytes(you), coin, signer=me),
            token(6, b"\1\0", coin, signer=me),
            token(6, b"\3\1" + bytes(you), purse, signer=me),
            token(6, b"\2\1" + bytes(you), other, signer=me),
        ]
        self._send("all sorts of tokens", steps, ["owner"])
        self._read("all sorts of tokens", [coin, purse, other])
        steps = [
            create_token_account(me, me, NATIVE_MINT),
            pay(me, wrapped, 1_000_000),
            token(17, b"", wrapped),
        ]
        self._send("SOL that is wrapped", steps, ["owner"])
        self._read("SOL that is wrapped", [wrapped])
        self._send("SOL that is unwrapped", [token(9, b"", wrapped, me, signer=me)], ["owner"])

    def _reads(self) -> None:
        parsed = {"encoding": "jsonParsed", **CONFIRMED}
        empty = {"encoding": "base64", "dataSlice": {"offset": 0, "length": 0}, **CONFIRMED}
        for name in ("owner", "host", "stranger"):
            self._ask(f"{name}: tokens", "getTokenAccountsByOwner", str(address(name)), {"mint": str(NOS_MINT)}, parsed)
            self._ask(f"{name}: token balance", "getTokenAccountBalance", str(token_address(address(name))), CONFIRMED)
        for name in ("job", "market", "host's run"):
            self._ask(f"{name}: history", "getSignaturesForAddress", str(address(name)), CONFIRMED)
        for size in (0, 120, 165, 240, 10_224):
            self._ask(f"rent of {size} bytes", "getMinimumBalanceForRentExemption", size)
        self._ask("the mint of wrapped SOL", "getAccountInfo", str(NATIVE_MINT), parsed)
        for program in (JOBS_PROGRAM, TOKEN_PROGRAM):
            self._ask(f"the program {program}", "getAccountInfo", str(program), empty)

    # --- how things are said ------------------------------------------------------------------------------------------

    def _job(
        self,
        name: str,
        signers: Sequence[str],
        values: Mapping[str, Any] | None = None,
        others: Mapping[str, Pubkey] | None = None,
        *,
        what: str = "",
    ) -> None:
        """An instruction of the jobs program; then everybody whom it may have changed is looked at."""
        owner, market = address("owner"), address("market")
        accounts = PROGRAMS | {
            "job": address("job"),
            "run": address("run"),
            "market": market,
            "vault": vault_of(market),
            "user": token_address(owner),
            "deposit": token_address(owner),
            "payer": owner,
            "authority": owner,
            "stake": derive(STAKING_PROGRAM, b"stake", bytes(NOS_MINT), bytes(address("host")))[0],
            "nft": vault_of(market),
            "metadata": SYSTEM_PROGRAM,
            "mint": NOS_MINT,
            "access_key": SYSTEM_PROGRAM,
        }
        # The limit tells transactions apart that would be one and the same under one blockhash.
        limit = Instruction(COMPUTE_BUDGET_PROGRAM, struct.pack("<BI", 2, next(self._limits)), [])
        price = Instruction(COMPUTE_BUDGET_PROGRAM, struct.pack("<BQ", 3, MICRO_LAMPORTS), [])
        self._send(what or name, [limit, price, idl.instruction(name, JOBS_PROGRAM, accounts | dict(others or {}), values)], signers)
        changed = [*map(address, ("job", "run", "host's run", "market", "owner")), vault_of(market), token_address(owner)]
        self._read(what or name, changed)

    def _send(self, what: str, instructions: Sequence[Instruction], signers: Sequence[str]) -> None:
        """Simulated, sent and read back. A transaction that the node does not take is sent past the node's own trial."""
        transaction = self._chain.sign(instructions, [key(name) for name in signers])
        raw, message = (base64.b64encode(bytes(part)).decode() for part in (transaction, transaction.message))
        asked = {"encoding": "base64", "sigVerify": True, "innerInstructions": True, **CONFIRMED}
        # Two of its accounts give way to one that it does not name and one that nobody knows.
        wanted = [str(named) for named in [*transaction.message.account_keys[:-2], DEVNET_NOS_MINT, NOBODY]]
        asked |= {"accounts": {"addresses": wanted, "encoding": "base64"}}
        self._ask(f"{what}: simulate", "simulateTransaction", raw, asked)
        self._ask(f"{what}: fee", "getFeeForMessage", message, CONFIRMED)
        answer = self._chain.ask("sendTransaction", raw, {"encoding": "base64", "preflightCommitment": "confirmed"})
        if "error" in answer:
            self._note(f"{what}: send", answer)
            self._chain.rpc("sendTransaction", raw, {"encoding": "base64", "skipPreflight": True})
        signature = str(transaction.signatures[0])
        until(lambda: self._chain.confirmed(signature))
        for encoding in ("json", "jsonParsed"):
            found = until(lambda how=encoding: self._chain.transaction(signature, how))  # type: ignore[misc]
            self._note(f"{what}: transaction as {encoding}", found)
        self._ask(f"{what}: send again", "sendTransaction", raw, {"encoding": "base64", "preflightCommitment": "confirmed"})

    def _read(self, what: str, addresses: Sequence[Pubkey]) -> None:
        for encoding in ("base64", "jsonParsed"):
            options = {"encoding": encoding, **CONFIRMED}
            self._ask(f"{what}: accounts as {encoding}", "getMultipleAccounts", [str(each) for each in addresses], options)

    def _ask(self, what: str, method: str, *params: Any) -> None:
        self._note(what, self._chain.ask(method, *params))

    def _note(self, what: str, answer: Any) -> None:
        assert what not in self.said
        self.said[what] = answer


def token(kind: int, data: bytes, *accounts: Pubkey, signer: Pubkey | None = None) -> Instruction:
    """An instruction of the token program, by its number."""
    signers = [] if signer is None else [AccountMeta(signer, True, False)]
    metas = [AccountMeta(each, False, each != RENT_SYSVAR) for each in accounts]
    return Instruction(TOKEN_PROGRAM, bytes([kind]) + data, [*metas, *signers])


def pay(source: Pubkey, target: Pubkey, lamports: int) -> Instruction:
    return transfer(TransferParams(from_pubkey=source, to_pubkey=target, lamports=lamports))


def u64(number: int) -> bytes:
    return number.to_bytes(8, "little")


# --- comparing ------------------------------------------------------------------------------------------------------------

# Of a chain's own time and chance, and of how a node came by its first accounts.
_NOT_COMPARED = frozenset(
    {
        "apiVersion",
        "blockTime",
        "confirmationStatus",
        "lastValidBlockHeight",
        "recentBlockhash",
        "rentEpoch",
        "replacementBlockhash",
        "signature",
        "signatures",
        "slot",
    }
)
_TIMES = {"JobAccount": slice(209, 225), "RunAccount": slice(105, 113)}
_SUPPLY = slice(36, 44)
_SHOWN_BYTES = 64
_TOKEN_PROGRAM_ADVISES = "Program log: Please upgrade to SPL Token 2022 for immutable owner support"
_UNITS = re.compile(r"consumed \d+ of \d+ compute units")


def comparable(value: Any) -> Any:
    """An answer without what may differ."""
    if isinstance(value, list):
        if len(value) == 2 and value[1] == "base64":
            return _data(base64.b64decode(value[0]))
        return [comparable(entry) for entry in value]
    if isinstance(value, dict):
        return {name: comparable(entry) for name, entry in _of_any_token_program(value).items() if name not in _NOT_COMPARED}
    return value


def _data(data: bytes) -> str:
    """What stands in an account or a transaction, without times; in short where it is long."""
    mutable = bytearray(data)
    for kind, times in _TIMES.items():
        if data.startswith(idl.discriminator("account", kind)):
            mutable[times] = bytes(times.stop - times.start)
    if len(data) == MINT_BYTES:
        mutable[_SUPPLY] = bytes(8)
    if len(data) <= _SHOWN_BYTES:
        return bytes(mutable).hex()
    if len(data) > idl.MARKET_BYTES:
        return f"{len(data)} bytes of a program"
    return f"{len(data)} bytes with the SHA-256 {hashlib.sha256(mutable).hexdigest()}"


def _of_any_token_program(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """A node's token program and LiteSVM's do the same; the first says what it does and takes thousands of units, the second is silent."""
    name = "logMessages" if "logMessages" in value else "logs"
    lines = value.get(name)
    if not isinstance(lines, list):
        return value
    cost = {"costUnits": value["costUnits"] - value["computeUnitsConsumed"]} if "costUnits" in value else {}
    running = f"Program {TOKEN_PROGRAM} invoke"
    if not any(line.startswith(running) for line in lines):
        return {**value, **cost}
    told = [
        _UNITS.sub("consumed some compute units", line)
        for before, line in itertools.pairwise(["", *lines])
        if not (before.startswith(running) and line.startswith("Program log: Instruction: ")) and line != _TOKEN_PROGRAM_ADVISES
    ]
    return {**value, name: told, **cost, **{unit: "some" for unit in ("unitsConsumed", "computeUnitsConsumed") if unit in value}}


def differences(have: Any, want: Any, where: str = "") -> list[str]:
    """Every place at which two answers differ, in words."""
    if isinstance(have, dict) and isinstance(want, dict):
        found = [f"{where}.{name}: {'too much' if name in have else 'missing'}" for name in sorted(have.keys() ^ want.keys())]
        return found + [
            line for name in sorted(have.keys() & want.keys()) for line in differences(have[name], want[name], f"{where}.{name}")
        ]
    if isinstance(have, list) and isinstance(want, list) and len(have) == len(want):
        return [line for index, pair in enumerate(zip(have, want, strict=True)) for line in differences(*pair, f"{where}[{index}]")]
    if isinstance(have, list) and isinstance(want, list) and all(isinstance(line, str) for line in [*have, *want]):
        return [f"{where}: {line}" for line in difflib.unified_diff(want, have, "wanted", "here", lineterm="", n=0)]
    return [] if have == want else [f"{where}: {have!r}, not {want!r}"]
