"""Who acts beside playbooks: hosts, a person with the official client, strangers, and who owns the markets. They act on the chain itself."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from chronicle import QUEUED, STOPPED, Chronicle, Life
from faults import Faults
from solders.account import Account
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from world import MARKETS, NAMES, VARIANTS, World, document, host_accounts, key_of, poster_accounts, vault_of

from nosana_localnet import authority, idl
from nosana_localnet.genesis import MarketSpec
from nosana_localnet.ipfs import cid_of, cid_to_bytes
from nosana_localnet.ledger import SYSTEM_PROGRAM, create_token_account, token_address

# Kind of result → how often hosts bring it.
_RESULTS = {"success": 6, "exit": 3, "garbage": 1, "no json": 0.5, "stopped": 0.5, "lost": 1}
_QUEUE_OF_JOBS, _NO_QUEUE = 0, 255
FILLERS = tuple(key_of("filler", number).pubkey() for number in range(authority.QUEUE_MOST))


@dataclass
class Stage:
    """What actors share."""

    world: World
    chronicle: Chronicle
    faults: Faults
    results: dict[str, str] = field(default_factory=dict)
    """Content address of a result → its kind."""
    on: bool = True
    full: set[Pubkey] = field(default_factory=set)
    """Markets whose queues are full of nobody's jobs."""
    keys: int = 0

    def fresh_key(self) -> Keypair:
        self.keys += 1
        return key_of("fresh", self.keys)

    def reopen(self) -> None:
        """Markets that were closed are there again, and queues that were filled are empty."""
        ledger = self.world.ledger
        for spec in MARKETS:
            if ledger.account(spec.address) is None:
                authority.reopen(ledger, spec)
            if spec.address in self.full:
                self.full.remove(spec.address)
                kind, waiting = self.world.queue(spec.address)
                real = [entry for entry in waiting if entry not in FILLERS]  # a fork may have taken back that it was filled
                self.queue(spec, kind if real else _NO_QUEUE, real)

    def queue(self, spec: MarketSpec, kind: int, waiting: Sequence[Pubkey]) -> None:
        """Has just these wait in a market."""
        ledger = self.world.ledger
        account = ledger.account(spec.address)
        assert account is not None
        values = idl.decode_account("MarketAccount", account.data) | {"queue_type": kind, "queue": list(waiting)}
        data = idl.encode_account("MarketAccount", values, size=len(account.data))
        ledger.put(spec.address, Account(account.lamports, data, account.owner))

    def every(self, low_seconds: float, high_seconds: float, act: Callable[[], None]) -> None:
        """Lets somebody act again and again, while actors act at all."""
        scheduler = self.world.scheduler

        def once() -> None:
            if self.on:
                act()
                scheduler.after(scheduler.random.uniform(low_seconds, high_seconds), once)

        scheduler.after(scheduler.random.uniform(0, high_seconds), once)


@dataclass
class Host:
    """Takes jobs, and does with them what hosts do: finishes, gives up, dies, or brings nonsense."""

    stage: Stage
    number: int
    honest: bool = False
    crashed: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.key = key_of("host", self.number)
        self.name = f"host {self.number}"
        self.market = MARKETS[self.number % len(MARKETS)].address

    def act(self) -> None:
        world, chance = self.stage.world, self.stage.world.scheduler.random
        mine = [(key, run) for key, run in world.runs() if run["node"] == self.key.pubkey() and str(run["job"]) not in self.crashed]
        if mine:
            self._go_on(*mine[0])
            return
        if chance.random() < 0.5:
            self.market = chance.choice(MARKETS).address
        stopped = [key for key, job in world.jobs() if job["state"] == STOPPED and job["market"] == self.market]
        running = {run["job"] for _key, run in world.runs()}
        claimable = [key for key in stopped if key not in running]
        if claimable and chance.random() < 0.5:
            run = self.stage.fresh_key()
            self._send("claim", {"job": chance.choice(claimable), "run": run.pubkey()}, run)
            return
        if world.ledger.account(self.market) is None or self.market in self.stage.full:
            return
        kind, queue = world.queue(self.market)
        if kind == _QUEUE_OF_JOBS or (len(queue) < 2 and chance.random() < 0.3):
            run = self.stage.fresh_key()
            self._send("work", {"run": run.pubkey()}, run)

    def _go_on(self, run_address: Pubkey, run: dict[str, Any]) -> None:
        chance, faults = self.stage.world.scheduler.random, self.stage.faults
        job, draw = run["job"], chance.random()
        if not self.honest and faults.on and draw < 0.03:
            faults.count("host_crash")
            self.stage.world.scheduler.note(self.name, "crashes")
            self.crashed.add(str(job))
        elif not self.honest and faults.on and draw < 0.12:
            faults.count("host_quit")
            self._send("quit", {"job": job, "run": run_address, "payer": run["payer"]})
        elif draw < 0.5:
            self._finish(job, run_address, run)
        else:
            faults.count("host_slow")

    def _finish(self, job: Pubkey, run_address: Pubkey, run: dict[str, Any]) -> None:
        fields = self.stage.world.job(job)
        if fields is None:
            return  # a run whose job is gone
        accounts = {
            "job": job,
            "run": run_address,
            "deposit": token_address(fields["payer"]),
            "payer_run": run["payer"],
            "payer_job": fields["payer"],
        }
        cid = self._result(str(job))
        self._send("finish", accounts, ipfs_result=cid_to_bytes(cid))

    def _result(self, job: str) -> str:
        """Makes a result of some kind and pins it, or does not."""
        stage, chance = self.stage, self.stage.world.scheduler.random
        kinds = {"success": 1.0} if self.honest or not stage.faults.on else _RESULTS
        kind = chance.choices(list(kinds), list(kinds.values()))[0]
        content = result(kind, job)
        cid = cid_of(content)
        stage.results[cid] = kind
        if kind == "lost":
            stage.faults.count("host_lost_result")
        else:
            stage.world.store.add(content)
        if kind in ("garbage", "no json", "stopped"):
            stage.faults.count("host_garbage")
        return cid

    def _send(self, name: str, accounts: dict[str, Pubkey], *more: Keypair, **args: Any) -> None:
        market = self.market
        job = self.stage.world.job(accounts["job"]) if "job" in accounts else None
        if job is not None:
            market = job["market"]
        known = host_accounts(self.key.pubkey(), market)
        self.stage.world.send(self.name, name, known | accounts, [self.key, *more], args)


def result(kind: str, job: str) -> bytes:
    """A result document, or what a host takes for one."""
    if kind == "no json":
        return f"result of {job}".encode()
    if kind == "garbage":
        return json.dumps({"job": job, "status": 7, "opStates": "none"}).encode()
    code = 0 if kind in ("success", "lost") else 3
    state = {"operationId": "main", "status": "failed" if code else "success", "exitCode": code, "logs": [{"type": "stdout", "log": job}]}
    return json.dumps({"status": "stopped" if kind == "stopped" else "success", "opStates": [state]}).encode()


@dataclass
class Person:
    """Somebody who has the same wallet and uses the official client: fresh keys, the same names."""

    stage: Stage
    name: str = "person"

    def act(self) -> None:
        chance, world = self.stage.world.scheduler.random, self.stage.world
        lives = [life for life in self.stage.chronicle.lives.values() if life.active]
        draw = chance.random()
        if draw < 0.35 or not lives:
            job, run, market = self.stage.fresh_key(), self.stage.fresh_key(), chance.choice(MARKETS)
            wished = document(chance.choice(NAMES), chance.randrange(VARIANTS))
            accounts = poster_accounts(world.wallet.pubkey(), market.address) | {"job": job.pubkey(), "run": run.pubkey()}
            args = {"ipfs_job": cid_to_bytes(world.store.add_json(wished)), "timeout": chance.choice((60, 200, 600))}
            world.send(self.name, "list", accounts, [world.wallet, job, run], args)
            return
        life = chance.choice(lives)
        assert life.fields is not None
        if draw < 0.5:
            accounts = poster_accounts(world.wallet.pubkey(), life.market) | {"job": Pubkey.from_string(life.address)}
            args = {"timeout": life.fields["timeout"] + chance.choice((30, 300))}
            world.send(self.name, "extend", accounts, [world.wallet], args)
        else:
            take_away(world, life, self.name)


def take_away(world: World, life: Life, who: str) -> bool:
    """Delists, ends or recovers a job with its owner's key, whichever fits."""
    job, owner = Pubkey.from_string(life.address), world.wallet.pubkey()
    accounts = poster_accounts(owner, life.market) | {"job": job, "deposit": token_address(owner), "vault": vault_of(life.market)}
    found = next(((key, run) for key, run in world.runs() if run["job"] == job), None)
    assert life.fields is not None
    if found is None:
        return world.send(who, "delist" if life.fields["state"] == QUEUED else "recover", accounts, [world.wallet])
    run_address, run = found
    world.execute(who, "token account", [create_token_account(owner, run["node"])], [world.wallet])
    accounts |= {"run": run_address, "payer": run["payer"], "user": token_address(run["node"])}
    return world.send(who, "end", accounts, [world.wallet])


@dataclass
class Stranger:
    """Closes accounts of jobs that are over, which anybody may do."""

    stage: Stage
    name: str = "stranger"

    def act(self) -> None:
        world = self.stage.world
        over = [life for life in self.stage.chronicle.lives.values() if life.fields and not life.active]
        if over:
            life = world.scheduler.random.choice(over)
            accounts = {"job": Pubkey.from_string(life.address), "market": life.market, "payer": life.payer}
            world.send(self.name, "clean", accounts, [key_of("stranger")])


@dataclass
class Authority:
    """Changes what a market asks, closes it for a while, or has its queue full."""

    stage: Stage
    name: str = "authority"

    def act(self) -> None:
        world, chance = self.stage.world, self.stage.world.scheduler.random
        draw = chance.random()
        if draw < 0.5:
            (self._close if draw < 0.25 else self._fill)(chance.choice(MARKETS))
            return
        spec = chance.choice(MARKETS[:2])
        self.stage.faults.count("price_change")
        args = {
            "job_expiration": spec.expiration_seconds,
            "job_price": spec.price + chance.choice((-7, 0, 11)),
            "job_type": 4,
            "node_stake_minimum": 0,
            "job_timeout": spec.timeout_seconds,
        }
        accounts = {"market": spec.address, "access_key": SYSTEM_PROGRAM, "authority": world.ledger.faucet.pubkey()}
        world.send(self.name, "update", accounts, [world.ledger.faucet], args)

    def _fill(self, spec: MarketSpec) -> None:
        """Only a market where nobody waits; what queues there for a while are addresses of nobody, which no host takes."""
        world = self.stage.world
        if world.ledger.account(spec.address) is None or world.queue(spec.address)[0] == _QUEUE_OF_JOBS:
            return  # hosts that wait are gone, as if they had stopped
        self.stage.full.add(spec.address)
        self.stage.queue(spec, _QUEUE_OF_JOBS, FILLERS)
        self.stage.faults.count("queue_full")
        world.scheduler.note(self.name, f"fills the queue of {spec.slug}")
        world.scheduler.after(world.scheduler.random.uniform(5, 120), self.stage.reopen)

    def _close(self, spec: MarketSpec) -> None:
        """Only a market without jobs: the deposits of others would be lost with it, which nobody can do anything about."""
        world = self.stage.world
        jobs = [life for life in self.stage.chronicle.lives.values() if life.active and life.market == spec.address]
        if jobs or spec.address in self.stage.full or world.ledger.account(spec.address) is None:
            return
        authority.close(world.ledger, spec)
        self.stage.faults.count("market_closed")
        world.scheduler.note(self.name, f"closes {spec.slug}")
        world.scheduler.after(world.scheduler.random.uniform(5, 120), self.stage.reopen)
