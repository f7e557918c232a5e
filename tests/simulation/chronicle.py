"""What really happened, written down from the ledger itself and from nothing that the collection says: the jobs' lives, and the money."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from solders.account import Account
from solders.pubkey import Pubkey
from solders.signature import Signature
from world import MARKETS, World, vault_of

from nosana_localnet import idl
from nosana_localnet.genesis import JOBS_PROGRAM
from nosana_localnet.ipfs import bytes_to_cid
from nosana_localnet.ledger import NOS_MINT, TOKEN_PROGRAM, Change, token_address

QUEUED, DONE, STOPPED = 0, 2, 3
_JOB = idl.discriminator("account", "JobAccount")


@dataclass
class Event:
    """An instruction that took effect on a job. `by`: the runs that sent it, or whoever else did."""

    name: str
    slot: int
    seconds: float
    by: frozenset[str]
    signature: Signature


@dataclass
class Life:
    """One job from its posting to its end."""

    address: str
    cid: str
    name: str
    market: Pubkey
    payer: Pubkey
    posted_by: frozenset[str]
    events: list[Event] = field(default_factory=list)
    fields: dict[str, Any] | None = None
    """The account as it is now; None when it is gone."""
    last: dict[str, Any] = field(default_factory=dict)
    """The account as it was last."""

    @property
    def active(self) -> bool:
        return self.fields is not None and self.fields["state"] in (QUEUED, STOPPED)

    @property
    def posted(self) -> Event:
        return self.events[0]

    def had(self, *names: str) -> bool:
        return any(event.name in names for event in self.events)

    @property
    def removed(self) -> bool:
        """Its owner took it away, or ended it."""
        return self.had("delist", "recover", "end")

    @property
    def over(self) -> bool:
        """A host brought it to its end."""
        return self.had("finish")

    @property
    def over_since(self) -> float:
        return next(event.seconds for event in self.events if event.name == "finish")


class Chronicle:
    """Listens to a world's ledger from its beginning."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.lives: dict[str, Life] = {}
        """The newest job at each address."""
        self.every: list[Life] = []
        """All jobs that ever were, oldest first."""
        self.senders: dict[str, set[str]] = {}
        """Transaction → the runs that have sent it."""
        self.refused: set[str] = set()
        """Transactions that a node has refused, after running them first."""
        self.served: set[str] = set()
        """First labels of the service URLs behind which something has answered."""
        self.ours = token_address(world.wallet.pubkey())
        self.tokens: dict[Pubkey, int] = {}
        self.started_with: dict[Pubkey, int] = {}
        self.earned = 0
        """What hosts are entitled to by all jobs that are over, in base units."""
        self.changes = 0
        self.undone: set[str] = set()
        """Transactions that had taken place until a fork was given up, whether they took place again or not."""
        self.forked_at: list[float] = []
        self._heard: list[tuple[Change, float]] = []
        for key, account in world.ledger.every_account():
            self._money(key, account)
        self.supply = sum(self.tokens.values())
        self.started_with = dict(self.tokens)
        world.ledger.subscribe(self._changed)

    def sent(self, who: str, signature: str) -> None:
        """A transaction of a run has arrived at a node."""
        self.senders.setdefault(signature, set()).add(who)

    def of(self, name: str) -> list[Life]:
        """All jobs that ever had the name, oldest first."""
        return [life for life in self.every if life.name == name]

    def active(self, name: str) -> list[Life]:
        """Those that wait or run."""
        return [life for life in self.of(name) if life.active]

    def deposits(self, market: Pubkey) -> int:
        """What ought to be in a market's vault: the deposits of its jobs that are not over."""
        lives = [life.fields for life in self.lives.values() if life.market == market and life.active and life.fields]
        return sum(fields["price"] * fields["timeout"] for fields in lives)

    # --- listening ----------------------------------------------------------------------------------------------------

    def _changed(self, change: Change) -> None:
        seconds = self.world.scheduler.now
        if change.undone:
            self._forget(change, seconds)
        elif change.accounts or change.signature is not None:
            self.changes += bool(change.accounts)
            self._heard.append((change, seconds))
            for line in self._take(change, seconds):
                self.world.scheduler.note("chain", line)

    def _forget(self, fork: Change, seconds: float) -> None:
        """What a fork undid has not happened: the story is told anew without it."""
        undone = set(fork.undone)
        self.changes += 1
        self.undone |= {str(signature) for signature in undone}
        self.forked_at.append(seconds)
        self.world.scheduler.note("chain", f"a fork is given up, and {len(undone)} transactions with it")
        self._heard = [(change, then) for change, then in self._heard if change.signature not in undone]
        self.lives, self.every, self.earned, self.tokens = {}, [], 0, dict(self.started_with)
        for change, then in self._heard:
            self._take(change, then)

    def _take(self, change: Change, seconds: float) -> list[str]:
        """What it says of jobs and money; in words, what was done to jobs."""
        said = list(self._acted(change, seconds)) if change.signature is not None and change.err is None else []
        for key, account in change.accounts.items():
            self._money(key, account)
            life = self.lives.get(str(key))
            if life is not None:
                self._account(life, account)
        return said

    def _acted(self, change: Change, seconds: float) -> Iterator[str]:
        assert change.signature is not None
        record = self.world.ledger.transaction(change.signature)
        assert record is not None
        by = frozenset(self.senders.get(str(change.signature), ()))
        for decoded in _instructions(record.transaction.message, record.keys):
            accounts = dict(decoded.accounts)
            address = str(accounts.get("job", ""))
            if decoded.name in ("list", "assign"):
                cid = bytes_to_cid(bytes(decoded.args["ipfs_job"]))
                name = self.world.names.get(cid, "?")
                if address in self.lives:
                    self.lives[address].fields = None  # an address that was freed is used again, perhaps in the same transaction
                self.lives[address] = Life(address, cid, name, accounts["market"], accounts["payer"], by)
                self.every.append(self.lives[address])
                # Where a job takes the place of one that is its equal, nothing of the account changes.
                self._account(self.lives[address], self.world.ledger.account(accounts["job"]))
            if address in self.lives:
                self.lives[address].events.append(Event(decoded.name, change.slot, seconds, by, change.signature))
                yield f"{decoded.name} {self.lives[address].name} {address[:6]} by {', '.join(sorted(by)) or '-'}"

    def _account(self, life: Life, account: Account | None) -> None:
        there = account is not None and account.owner == JOBS_PROGRAM and account.data[:8] == _JOB
        before = life.fields
        life.fields = idl.decode_account("JobAccount", account.data) if account is not None and there else None
        life.last = life.fields or life.last
        if before and life.fields and before["state"] != DONE and life.fields["state"] == DONE:
            fields = life.fields
            self.earned += fields["price"] * min(fields["timeout"], fields["time_end"] - fields["time_start"])

    def _money(self, key: Pubkey, account: Account | None) -> None:
        if account is not None and account.owner == TOKEN_PROGRAM and len(account.data) == 165 and account.data[:32] == bytes(NOS_MINT):
            self.tokens[key] = int.from_bytes(account.data[64:72], "little")
        elif key in self.tokens:
            self.tokens[key] = 0


def _instructions(message: Any, keys: list[Pubkey]) -> Iterator[idl.Decoded]:
    for each in message.instructions:
        if keys[each.program_id_index] == JOBS_PROGRAM:
            yield idl.decode_instruction(bytes(each.data), [keys[index] for index in each.accounts])


def vaults() -> dict[Pubkey, Pubkey]:
    """Market → its vault."""
    return {spec.address: vault_of(spec.address) for spec in MARKETS}
