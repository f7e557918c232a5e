"""A chain that is kept in memory, with IPFS and a market, for tests of the job service: every question and every action is noted."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable, Sequence
from typing import Any

from solders.instruction import Instruction
from solders.keypair import Keypair

from ansible_collections.nosana.compute.plugins.module_utils._clients import program
from ansible_collections.nosana.compute.plugins.module_utils._clients.base58 import b58decode, b58encode
from ansible_collections.nosana.compute.plugins.module_utils._clients.errors import (
    NotFound,
    ProgramError,
)
from ansible_collections.nosana.compute.plugins.module_utils._clients.ipfs import bytes_to_cid, cid_of, cid_to_bytes, encode_document
from ansible_collections.nosana.compute.plugins.module_utils._clients.networks import NETWORKS
from ansible_collections.nosana.compute.plugins.module_utils._clients.rpc import (
    Account,
    Blockhash,
    Call,
    HistoryEntry,
    SignatureStatus,
    Snapshot,
    Transaction,
)
from ansible_collections.nosana.compute.plugins.module_utils._clients.transaction import Landed, Quote
from ansible_collections.nosana.compute.plugins.module_utils._jobs.cache import Cache
from ansible_collections.nosana.compute.plugins.module_utils._jobs.identity import Identity
from ansible_collections.nosana.compute.plugins.module_utils._jobs.lookup import JobLookup, Memory, Query
from ansible_collections.nosana.compute.plugins.module_utils._jobs.progress import Tell
from ansible_collections.nosana.compute.plugins.module_utils._jobs.service import Declaration, JobService, Outcome, Wait

NETWORK = NETWORKS["localnet"]
WALLET = Keypair.from_seed(bytes(range(1, 33)))
OWNER = str(WALLET.pubkey())
HOST = "HWAbUKhTSEXKarqXAjFB9EmaszsoB7dGEC7Gjxf7vNfk"
MARKET = "7AtiXMSH6R1jjBxrcYjehCkkSF7zvYWte63gwEDBcGHq"
PRICE, MARKET_TIMEOUT = 43, 7200
DOCUMENT = {
    "version": "0.1",
    "type": "container",
    "meta": {"name": "web"},
    "ops": [{"type": "container/run", "id": "one", "args": {"image": "nginx"}}],
}
SUCCESS = {"status": "success", "opStates": [{"operationId": "one", "status": "success", "exitCode": 0}]}
FAILURE = {"status": "success", "opStates": [{"operationId": "one", "status": "failed", "exitCode": 3}]}
POSTED = Wait("posted", 0, 1)
NAMES = {program.discriminator("global", name): name for name in ("list", "delist", "extend", "end", "recover", "clean")}


class Chain:
    """Accounts, IPFS and the market of a network, with the interfaces of all clients; every question and every action is noted."""

    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {}
        self.signatures: dict[str, list[str]] = {}
        self.failed: set[str] = set()
        self.times: dict[str, int] = {}
        self.transactions: dict[str, Transaction] = {}
        self.content: dict[str, Any] = {}
        self.queue: list[str] = []
        self.asked: list[str] = []
        self.sent: list[str] = []
        self.pinned: list[str] = []
        self.before_send: list[Callable[[], None]] = []
        self.while_young: list[Callable[[], None]] = []  # what happens while it is waited for a young job to settle, time by time
        self.failures: dict[str, Exception] = {}
        self.time = 1_800_000_000.0
        self.genesis = "local"
        self.put(NETWORK.jobs_program, b"", owner="loader")
        self.fund(nos=1_000_000_000, sol=10**10)

    # what the tests arrange

    def put(self, key: str, data: bytes, *, owner: str = NETWORK.jobs_program, lamports: int = 1) -> None:
        self.accounts[key] = Account(lamports, owner, data)

    def fund(self, *, nos: int, sol: int) -> None:
        self.put(program.token_account(OWNER, NETWORK.nos_mint), bytes(64) + nos.to_bytes(8, "little"), owner=program.TOKEN_PROGRAM)
        self.put(OWNER, b"", owner=program.SYSTEM_PROGRAM, lamports=sol)

    def job(
        self,
        address: str,
        document: Any = None,
        *,
        state: int = 0,
        queued: bool = False,
        running: bool = False,
        result: Any = None,
        cid: str | None = None,
        ended: int = 0,
    ) -> None:
        document = document or DOCUMENT
        if cid is None:
            self.content[cid_of(encode_document(document))] = document
        done = cid_to_bytes(self.pin(result)) if result is not None else bytes(32)
        data = program.discriminator("account", "JobAccount") + cid_to_bytes(cid or cid_of(encode_document(document))) + done
        data += b58decode(MARKET) + bytes(32) + bytes(WALLET.pubkey()) + struct.pack("<Q", PRICE) + bytes(WALLET.pubkey())
        self.put(address, data + struct.pack("<Bqqq", state, ended, 0, 3600) + bytes(7))
        self.signatures.setdefault(address, ["unknown"])
        if queued:
            self.queue.append(address)
        if running:
            self.run(address)

    def run(self, job: str) -> None:
        if job in self.queue:
            self.queue.remove(job)
        data = program.discriminator("account", "RunAccount") + b58decode(job) + b58decode(HOST) + b58decode(HOST)
        self.put(run_of(job), data + struct.pack("<Bq", 0, int(self.time)))

    def pin(self, document: Any) -> str:
        cid = cid_of(encode_document(document))
        self.content[cid] = document
        return cid

    def market(self) -> bytes:
        data = program.discriminator("account", "MarketAccount") + bytes(32) + struct.pack("<qQqB", 86400, PRICE, MARKET_TIMEOUT, 4)
        data += bytes(32) + b"\xff" + bytes(32) + bytes(16) + bytes([0 if self.queue else 255]) + struct.pack("<I", len(self.queue))
        return data + b"".join(map(b58decode, self.queue)) + bytes(64)

    # Rpc

    def account(self, key: str) -> Account | None:
        if key == MARKET:
            return Account(1, NETWORK.jobs_program, self.market())
        if key == program.CLOCK_SYSVAR:
            return Account(1, "Sysvar1111111111111111111111111111111111111", bytes(32) + struct.pack("<q", int(self.time)))
        return self.accounts.get(key)

    def not_before(self, _slot: int) -> None:
        pass

    async def snapshot(self, keys: Sequence[str]) -> Snapshot:
        self.asked.append("getMultipleAccounts")
        return Snapshot(1, {key: account for key in keys if (account := self.account(key)) is not None})

    async def get_multiple_accounts(self, keys: Sequence[str]) -> list[Account | None]:
        self.asked.append("getMultipleAccounts")
        return [self.account(key) for key in keys]

    async def get_account(self, key: str) -> Account | None:
        self.asked.append("getAccount")
        return self.account(key)

    async def get_program_accounts(self, _program: str, *, filters: Sequence[dict[str, Any]]) -> list[tuple[str, Account]]:
        self.asked.append("getProgramAccounts")
        wanted = [(entry["memcmp"]["offset"], b58decode(entry["memcmp"]["bytes"])) for entry in filters]
        return [
            (key, account)
            for key, account in self.accounts.items()
            if account.owner == NETWORK.jobs_program and all(account.data[at : at + len(value)] == value for at, value in wanted)
        ]

    async def get_signatures_for_address(self, key: str, *, limit: int = 1) -> list[HistoryEntry]:
        self.asked.append("getSignaturesForAddress")
        if key in self.failed:
            return [HistoryEntry("failed", False)]
        return [HistoryEntry(signature, True, self.times.get(signature)) for signature in reversed(self.signatures.get(key, []))][:limit]

    async def get_signature_status(self, signature: str) -> tuple[int, SignatureStatus | None]:
        return 1, SignatureStatus(1, None, "confirmed") if signature in self.transactions else None

    async def get_transaction(self, signature: str) -> Transaction | None:
        self.asked.append("getTransaction")
        return self.transactions.get(signature)

    async def get_genesis_hash(self) -> str:
        return self.genesis

    # Ipfs, Api, NodeApi, Clock

    async def fetch_json(self, cid: str) -> Any:
        self.asked.append("ipfs")
        if cid not in self.content:
            raise NotFound(f"no {cid}.")
        return self.content[cid]

    async def pin_json(self, document: Any) -> str:
        self.pinned.append(self.pin(document))
        return self.pinned[-1]

    def knows(self, _market: str) -> bool:
        return True

    async def resolve_market(self, market: str) -> str:
        return market

    async def ready(self, _url: str) -> bool:
        return True

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.time += seconds

    def random(self) -> float:
        return 0.0

    # Sender

    async def quote(self, instructions: Sequence[Instruction], _signers: Sequence[Keypair], *, fee_payer: Keypair, action: str) -> Quote:
        self.asked.append("quote")
        before = self.copy()
        try:
            for instruction in instructions:
                self.execute(instruction)
        finally:
            self.restore(before)
        return Quote(1000, 0, 15_000, None)

    async def blockhash(self) -> Blockhash:
        return Blockhash("blockhash", 150)

    async def outlast(self, _slot: int, _seen_slot: int, begin: Callable[[float], None]) -> bool:
        if not self.while_young:
            return False
        begin(60.0)
        self.while_young.pop(0)()
        await asyncio.sleep(0)
        return True

    async def send(
        self,
        instructions: Sequence[Instruction],
        _signers: Sequence[Keypair],
        *,
        fee_payer: Keypair,
        action: str,
        quote: Any,
        blockhash: Any,
        still: Any,
    ) -> Landed:
        if self.before_send:
            self.before_send.pop(0)()
        before = self.copy()
        try:
            names = [name for instruction in instructions if (name := self.execute(instruction))]
        except BaseException:
            self.restore(before)
            raise
        self.sent += names
        signature = f"signature {len(self.transactions) + 1}"
        calls = [
            Call(index, str(each.program_id), tuple(str(meta.pubkey) for meta in each.accounts), bytes(each.data))
            for index, each in enumerate(instructions)
        ]
        self.transactions[signature] = Transaction(1, None, int(self.time), 15_000, tuple(calls), {})
        for call in calls:
            for key in call.accounts:
                self.signatures.setdefault(key, []).append(signature)
        return Landed(signature, 1)

    def copy(self) -> Any:
        return dict(self.accounts), list(self.queue), {key: list(found) for key, found in self.signatures.items()}

    def restore(self, state: Any) -> None:
        self.accounts, self.queue, self.signatures = state

    def execute(self, instruction: Instruction) -> str | None:
        name = NAMES.get(bytes(instruction.data)[:8])
        if name is None:
            return None
        if name in self.failures:
            raise self.failures.pop(name)
        job = str(instruction.accounts[0].pubkey)
        if name == "list":
            if job in self.accounts:
                raise refused("AccountAlreadyInUse")
            cid = bytes_to_cid(bytes(instruction.data)[8:40])
            self.job(job, self.content.get(cid) or DOCUMENT, queued=True, cid=cid)
        elif name == "delist":
            if job not in self.queue:
                raise refused("MarketInWrongState")
            self.queue.remove(job)
            del self.accounts[job]
        elif name in ("recover", "clean"):
            del self.accounts[job]
        elif name == "end":
            if run_of(job) not in self.accounts:
                raise refused("AccountNotInitialized")
            del self.accounts[run_of(job)]
            data = bytearray(self.accounts[job].data)
            data[208] = 2
            self.put(job, bytes(data))
        elif name == "extend":
            data = bytearray(self.accounts[job].data)
            data[225:233] = bytes(instruction.data)[8:16]
            self.put(job, bytes(data))
        return name


def run_of(job: str) -> str:
    return b58encode(b58decode(job)[::-1])


def refused(name: str) -> ProgramError:
    return ProgramError(f"{name}.", name=name, number=None, instruction=0, logs=[])


def service(chain: Any, tell: Tell | None = None, **more: Any) -> JobService:
    clients = {"rpc": chain, "ipfs": chain, "api": chain, "node_api": chain, "sender": chain, "clock": chain}
    return JobService(network=NETWORK, wallet=WALLET, tell=tell, **clients | more)


def present(
    chain: Chain, *, document: Any = None, wait: Wait = POSTED, dry_run: bool = False, tell: Tell | None = None, **declared: Any
) -> Outcome:
    document = document or DOCUMENT
    declaration = Declaration(
        **{"name": "web", "document": document, "market": MARKET, "timeout_seconds": None, "on_change": "replace", **declared}
    )
    return asyncio.run(service(chain, tell).present(declaration, wait=wait, dry_run=dry_run))


def absent(chain: Chain, *, purge: bool = False, dry_run: bool = False) -> Outcome:
    return asyncio.run(service(chain).absent("web", purge=purge, dry_run=dry_run))


def address(generation: int = 0) -> str:
    return Identity(WALLET, program=NETWORK.jobs_program, name="web").address(generation)


def info(chain: Any, *, key: str | None = None, memory: Memory | None = None, **wanted: Any) -> Any:
    lookup = JobLookup(network=NETWORK, wallet=WALLET, rpc=chain, ipfs=chain, clock=chain, cache=Cache.none(), memory=memory)
    return asyncio.run(lookup.find(Query(address=key, **wanted)))
