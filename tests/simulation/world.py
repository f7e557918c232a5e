"""The world of a simulation: one chain with our jobs program, IPFS, markets, wallets with money. No faults, no actors."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

from scheduler import START_SECONDS, Scheduler
from solders.instruction import Instruction
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.transaction import VersionedTransaction

from ansible_collections.nosana.compute.plugins.module_utils._jobs.definition import declare
from nosana_localnet import genesis, idl
from nosana_localnet.genesis import JOBS_PROGRAM, REWARDS_PROGRAM, STAKING_PROGRAM, MarketSpec, derive
from nosana_localnet.ipfs import Store
from nosana_localnet.ledger import NOS_MINT, SLOT_SECONDS, SYSTEM_PROGRAM, TOKEN_PROGRAM, Ledger, Record, Rejected, token_address

NAMES = ("alpha", "beta")
VARIANTS = 3
SERVICE = 1
"""The variant whose container answers on a port."""
PORT = 8080
HOSTS = 3
LAMPORTS, NOS_BASE_UNITS = 50 * 10**9, 10**11
_MOST_TICKS = 155  # blockhashes live for 150 slots: more than that is one jump
_FINALIZED_LAG_SLOTS = 64  # as long as the accounts' past is kept, which is what a stale node answers from

PROGRAMS = {
    "rewards_program": REWARDS_PROGRAM,
    "token_program": TOKEN_PROGRAM,
    "system_program": SYSTEM_PROGRAM,
    "rewards_reflection": derive(REWARDS_PROGRAM, b"reflection")[0],
    "rewards_vault": derive(REWARDS_PROGRAM, bytes(NOS_MINT))[0],
}


class Past(Ledger):
    """A ledger that can also answer as a node does that is some slots behind. What is sent lands in the present."""

    behind_slots = 0

    def slot_at(self, commitment: Any) -> int:
        return max(0, super().slot_at(commitment) - self.behind_slots)

    def transaction(self, signature: Signature) -> Record | None:
        record = super().transaction(signature)
        return None if record is not None and record.slot > self.slot_at("processed") else record

    def submit(self, transaction: VersionedTransaction) -> Signature:
        with self.behind(0):
            return super().submit(transaction)

    @contextmanager
    def behind(self, slots: int) -> Iterator[None]:
        """Within, everything is read as it was so many slots ago."""
        self.behind_slots, before = slots, self.behind_slots
        try:
            yield
        finally:
            self.behind_slots = before


def key_of(*what: object) -> Keypair:
    """Always the same key for the same words."""
    return Keypair.from_seed(hashlib.sha256(repr(what).encode()).digest())


@cache
def vault_of(market: Pubkey) -> Pubkey:
    """Where a market keeps the deposits."""
    return derive(JOBS_PROGRAM, bytes(market), bytes(NOS_MINT))[0]


@cache
def document(name: str, variant: int) -> dict[str, Any]:
    """One of the definitions that a name may have."""
    args = {"image": f"registry.example/worker:{variant}", "cmd": ["work"]} | ({"expose": PORT} if variant == SERVICE else {})
    op = {"type": "container/run", "id": "main", "args": args}
    return declare({"version": "0.1", "type": "container", "ops": [op]}, name).document


def market(number: int) -> MarketSpec:
    """Markets whose jobs may soon be cleaned; the last one is free of charge."""
    price, timeout, expiration = ((43, 600, 120), (118, 300, 400), (0, 240, 60))[number]
    address = key_of("market", number).pubkey()
    return MarketSpec(
        address, f"market-{number}", f"Market {number}", "OTHER", price, timeout, ("NVIDIA GeForce RTX 3060",), 12, expiration
    )


MARKETS = tuple(map(market, range(3)))


class World:
    """Everything that exists beside processes and the network between them."""

    def __init__(self, scheduler: Scheduler, *, confirmed_lag_slots: int = 0, fee_fraction: int = 0) -> None:
        self.scheduler = scheduler
        self.fee_fraction = fee_fraction
        self.ledger: Past = _begin(scheduler, confirmed_lag_slots, fee_fraction)
        self._first_slot = self.ledger.slot
        self.store = Store()
        self.wallet = key_of("wallet")
        self.names: dict[str, str] = {}
        for name in NAMES:
            for variant in range(VARIANTS):
                self.names[self.store.add_json(document(name, variant))] = name
        # Not everything that a playbook declares is pinned already: whoever posts has to pin it.
        self.store = Store()
        for host in range(HOSTS):
            self._fund(key_of("host", host), 0)
            genesis.begin_stake(self.ledger, key_of("host", host).pubkey(), NOS_MINT)
        self._fund(key_of("stranger"), 0)
        self._fund(self.wallet, NOS_BASE_UNITS)
        self.ledger.settle()
        self._first_slot = self.ledger.slot
        scheduler.on_time = self._pass_time

    def _fund(self, key: Keypair, nos: int) -> None:
        self.ledger.airdrop(key.pubkey(), LAMPORTS)
        self.ledger.mint_nos(key.pubkey(), nos)

    def _pass_time(self) -> None:
        wanted = self._first_slot + int((self.scheduler.now - START_SECONDS) / SLOT_SECONDS)
        if wanted - self.ledger.slot > _MOST_TICKS:
            self.ledger.warp((wanted - self.ledger.slot) * SLOT_SECONDS)
        while self.ledger.slot < wanted:
            self.ledger.tick()

    # --- acting without the network in between ------------------------------------------------------------------------

    def send(
        self, who: str, name: str, accounts: dict[str, Pubkey], signers: Sequence[Keypair], args: dict[str, Any] | None = None
    ) -> bool:
        """Lands one instruction of the jobs program at once; False when the program refuses it."""
        return self.execute(who, name, [idl.instruction(name, JOBS_PROGRAM, PROGRAMS | accounts, args)], signers)

    def execute(self, who: str, what: str, instructions: Sequence[Instruction], signers: Sequence[Keypair]) -> bool:
        """Lands instructions at once; False when they are refused."""
        try:
            self.ledger.execute(instructions, signers)
        except Rejected as error:
            self.scheduler.note(who, f"{what}: refused {error.err}")
            return False
        self.scheduler.note(who, what)
        return True

    # --- looking ------------------------------------------------------------------------------------------------------

    def job(self, address: Pubkey) -> dict[str, Any] | None:
        """A job account's fields as they are this moment."""
        account = self.ledger.account(address)
        return None if account is None or account.owner != JOBS_PROGRAM else idl.decode_account("JobAccount", account.data)

    def jobs(self) -> list[tuple[Pubkey, dict[str, Any]]]:
        """All job accounts, by address."""
        return self._accounts("JobAccount")

    def runs(self) -> list[tuple[Pubkey, dict[str, Any]]]:
        """All run accounts, by address."""
        return self._accounts("RunAccount")

    def queue(self, market: Pubkey) -> tuple[int, list[Pubkey]]:
        """A market's kind of queue, and who waits in it."""
        account = self.ledger.account(market)
        assert account is not None
        values = idl.decode_account("MarketAccount", account.data)
        return values["queue_type"], list(values["queue"])

    def tokens(self, account: Pubkey) -> int:
        """NOS in a token account, in base units."""
        found = self.ledger.account(account)
        return 0 if found is None else int.from_bytes(found.data[64:72], "little")

    def _accounts(self, kind: str) -> list[tuple[Pubkey, dict[str, Any]]]:
        head = idl.discriminator("account", kind)
        found = [(key, account.data) for key, account in self.ledger.program_accounts(JOBS_PROGRAM) if account.data[:8] == head]
        return [(key, idl.decode_account(kind, data)) for key, data in sorted(found, key=lambda pair: bytes(pair[0]))]


def poster_accounts(owner: Pubkey, market: Pubkey) -> dict[str, Pubkey]:
    """The accounts of an owner's instructions, without job and run."""
    return {"market": market, "vault": vault_of(market), "user": token_address(owner), "payer": owner, "authority": owner}


def host_accounts(host: Pubkey, market: Pubkey) -> dict[str, Pubkey]:
    """The accounts of a host's instructions, without job and run."""
    stake = derive(STAKING_PROGRAM, b"stake", bytes(NOS_MINT), bytes(host))[0]
    return poster_accounts(host, market) | {"stake": stake, "nft": token_address(host), "metadata": SYSTEM_PROGRAM}


def _begin(scheduler: Scheduler, confirmed_lag_slots: int, fee_fraction: int) -> Past:
    """A chain whose time is the scheduler's, however its ledger is put forward."""
    ledgers: list[Past] = []
    ledger = Past(
        lambda: scheduler.now - (ledgers[0].warp_seconds if ledgers else 0.0),
        seed="simulation",
        confirmed_lag_slots=confirmed_lag_slots,
        finalized_lag_slots=_FINALIZED_LAG_SLOTS,
    )
    ledgers.append(ledger)
    genesis.load_programs(ledger, fee_fraction=fee_fraction)
    genesis.begin(ledger)
    for spec in MARKETS:
        genesis.begin_market(ledger, spec)
    return ledger
