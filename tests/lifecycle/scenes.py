"""What may be found under a name, each made for real on the chain: by the collection, by hosts, by an administrator, by time."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from actors import Host, clean, vault_of
from chain import until
from solders.account import Account
from solders.hash import Hash
from solders.message import MessageV0
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.transaction import VersionedTransaction
from stage import BASE_UNITS_PER_NOS, PRICE, TIMEOUT, Money, Poster, Stage, kinds

from ansible_collections.nosana.compute.plugins.module_utils._clients.networks import NETWORKS
from ansible_collections.nosana.compute.plugins.module_utils._clients.program import Program
from ansible_collections.nosana.compute.plugins.module_utils._jobs.identity import Identity
from nosana_localnet import idl
from nosana_localnet.genesis import JOBS_PROGRAM
from nosana_localnet.ledger import SYSTEM_PROGRAM, token_address
from nosana_localnet.server import Network

OTHER_PRICE = 59
EXPIRATION = 10 if os.environ.get("NOSANA_VALIDATOR") else 3
# What an untouched host is late with before it is called dead, and more than it.
PAST_GRACE_SECONDS = TIMEOUT + 600 + 1
WORK_SECONDS = 7
MARKET_ADMIN = Pubkey.from_string("AdmMVMMU3po5BP3bVWsF9GgN6NNEfpfxpTDGTzjgb72S")
NEVER_PINNED = "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG"

_OP = {"operationId": "run", "status": "success", "exitCode": 0, "logs": []}
SUCCESS = {"status": "success", "startTime": 1, "endTime": 2, "opStates": [_OP]}
FAILURE = {"status": "success", "opStates": [_OP | {"status": "failed", "exitCode": 3}]}
ENDED = {"status": "stopped", "opStates": [_OP | {"status": "stopped"}]}


@dataclass(frozen=True)
class Books:
    """What the chain holds of a scene: who has what, and where the wallet's jobs stand. NOS in base units.

    all_nos: of wallet, vaults and hosts together, which no task changes; deposits: what the open jobs have in the vaults by the program's
    rule, price times timeout.
    """

    wallet: Money
    all_nos: int
    in_vaults: int
    deposits: int
    states: dict[Pubkey, str]

    @property
    def active(self) -> list[Pubkey]:
        """Jobs that run, wait, or were given up: what costs money or may."""
        return [job for job, state in self.states.items() if state in ("queued", "running", "stopped", "claimed")]


@dataclass
class Scene:
    """A wallet in a market of its own, a second market, and the hosts that came. `lost`: deposits that no one can get back."""

    stage: Stage
    poster: Poster
    other: Pubkey
    hosts: list[Host] = field(default_factory=list)
    lost: int = 0

    @property
    def alone(self) -> bool:
        """Whether the chain is the local network's, whose clock and accounts obey."""
        return self.stage.alone

    @property
    def jobs(self) -> list[Pubkey]:
        return list(self.books().states)

    def host(self, *, token_account: bool = True, market: Pubkey | None = None) -> Host:
        host = self.stage.host(market or self.poster.market, token_account=token_account)
        self.hosts.append(host)
        return host

    def pass_time(self, seconds: int) -> None:
        """So many seconds of the chain's own time; nobody can put a real chain's clock forward."""
        if self.alone:
            self.stage.network.warp(seconds)
            return
        end = self.stage.chain.now() + seconds
        until(lambda: self.stage.chain.now() >= end)

    def books(self) -> Books:
        """As they are now."""
        chain, owner = self.stage.chain, self.poster.address
        markets = [self.poster.market, self.other]
        vaults = [vault_of(market) for market in markets]
        purses = list(dict.fromkeys(token_address(host.address) for host in self.hosts))
        found = chain.accounts([owner, token_address(owner), *markets, *vaults, *purses])
        nos = {address: tokens_in(account) for address, account in found.items()}
        queued = {
            entry
            for market in markets
            if (account := found[market])
            for entry in idl.decode_account("MarketAccount", account.data)["queue"]
        }
        jobs = {job: fields for job in chain.jobs_of(owner) if (fields := chain.job(job)) is not None}
        states = {job: _state(fields, running=bool(chain.runs_of(job)), queued=job in queued) for job, fields in jobs.items()}
        wallet = found[owner]
        own = nos[token_address(owner)]
        in_vaults = sum(nos[vault] for vault in vaults)
        books = Books(
            Money(wallet.lamports if wallet else 0, own), own + in_vaults + sum(nos[purse] for purse in purses), in_vaults, 0, states
        )
        return replace(books, deposits=sum(jobs[job]["price"] * jobs[job]["timeout"] for job in books.active))


def tokens_in(account: Account | None) -> int:
    """Base units in a token account; 0 where there is none."""
    return 0 if account is None else int.from_bytes(account.data[64:72], "little")


def _state(fields: dict[str, Any], *, running: bool, queued: bool) -> str:
    if fields["state"] == 2:
        return "done"
    if fields["state"] == 3:
        return "claimed" if running else "stopped"
    return "running" if running else "queued" if queued else "orphaned"


def scene(stage: Stage) -> Scene:
    """Nothing has happened yet."""
    poster = stage.poster(stage.market(expiration=EXPIRATION), nos=BASE_UNITS_PER_NOS)
    return Scene(stage, poster, stage.market(price=OTHER_PRICE, expiration=EXPIRATION))


# --- steps ----------------------------------------------------------------------------------------------------------------


def _queued(here: Scene) -> Pubkey:
    return here.poster.post()


def _taken(here: Scene, *, token_account: bool = True) -> tuple[Host, Pubkey]:
    """By a host that comes when the job waits: the run has a key of the host's choice."""
    job = _queued(here)
    host = here.host(token_account=token_account)
    host.work()
    here.pass_time(WORK_SECONDS)
    return host, job


def _met(here: Scene) -> tuple[Host, Pubkey]:
    """By a host that waits when the job comes: the run has the key that was derived for it."""
    host = here.host()
    host.work()
    job = _queued(here)
    here.pass_time(WORK_SECONDS)
    return host, job


def _finished(here: Scene, result: dict[str, Any] | str, *, closed: bool = False) -> None:
    host, job = _taken(here)
    host.finish(job, result if isinstance(result, str) else here.stage.pin(result))
    if closed:
        _closed(here, host, job)


def _closed(here: Scene, host: Host, job: Pubkey) -> None:
    here.pass_time(EXPIRATION + 1)
    clean(here.stage.chain, host.key, job, here.poster.market)


def _removed(here: Scene, kind: str) -> None:
    removed = here.poster.job(state="absent")
    assert (removed.failure, kinds(removed)) == (None, [kind])


def _ended(here: Scene, result: dict[str, Any] | str | None = None, *, closed: bool = False) -> None:
    host, job = _taken(here)
    _removed(here, "end")
    if result is not None:
        host.complete(job, result if isinstance(result, str) else here.stage.pin(result))
    if closed:
        _closed(here, host, job)


def _given_up(here: Scene, *, met: bool = False) -> Pubkey:
    host, job = _met(here) if met else _taken(here)
    host.quit(job)
    return job


def _claimed(here: Scene) -> None:
    job = _given_up(here)
    here.host().claim(job)
    here.pass_time(WORK_SECONDS)


def _delisted(here: Scene) -> None:
    _queued(here)
    _removed(here, "delist")


def _recovered(here: Scene) -> None:
    _given_up(here)
    _removed(here, "recover")


def _dead(here: Scene, make: Callable[[Scene], object]) -> None:
    make(here)
    here.pass_time(PAST_GRACE_SECONDS)


def _orphaned(here: Scene, *, met: bool = False) -> None:
    _host, job = _met(here) if met else _taken(here)
    run, fields = here.stage.chain.run_of(job)
    quitting = idl.instruction("quit_admin", JOBS_PROGRAM, {"run": run, "payer": fields["payer"], "authority": MARKET_ADMIN})
    message = MessageV0.try_compile(MARKET_ADMIN, [quitting], [], Hash.default())

    def as_administrator(network: Network) -> None:
        """Nobody has that key: the instruction is run without signatures, and what it did is written down."""
        network.ledger.airdrop(MARKET_ADMIN, 10_000_000)
        transaction = VersionedTransaction.populate(message, [Signature.default()])
        done = network.ledger.simulate(transaction, verify_signatures=False, any_blockhash=True)
        assert done.err is None, done.logs
        for key, account in zip(done.keys, done.post, strict=True):
            if key in (run, fields["payer"]):
                network.ledger.put(key, account or Account(0, b"", SYSTEM_PROGRAM))

    here.stage.network.call(as_administrator)
    here.lost += PRICE * TIMEOUT


def _attempt_failed(here: Scene) -> None:
    """A listing under the first address that failed on the chain itself, its fee paid."""
    owner = here.poster.key
    identity = Identity(owner, program=str(JOBS_PROGRAM), name="job")
    job, run = identity.key(0, "job"), identity.key(0, "run")
    listing = Program(NETWORKS["localnet"]).list_job(
        job=str(job.pubkey()),
        market=str(here.poster.market),
        run=str(run.pubkey()),
        payer=str(owner.pubkey()),
        project=str(owner.pubkey()),
        ipfs_job=bytes([7] * 32),
        timeout_seconds=BASE_UNITS_PER_NOS,
    )
    raw = bytes(here.stage.chain.sign([listing], [owner, job, run]))
    signature = here.stage.chain.rpc("sendTransaction", base64.b64encode(raw).decode(), {"encoding": "base64", "skipPreflight": True})
    assert until(lambda: here.stage.chain.confirmed(signature))["err"] is not None


@dataclass(frozen=True)
class Found:
    """How something comes to be found. `word` is the table's, `state` the chain's; `alone`: on a local network only."""

    word: str
    make: Callable[[Scene], object]
    state: str
    alone: bool = False
    account: bool = False
    """Whether an account of a job that is over lies there, which purge may close."""


FOUND: dict[str, Found] = {
    "nothing": Found("nothing", lambda here: None, "none"),
    "nothing, an attempt failed": Found("nothing", _attempt_failed, "none"),
    "removed by delist": Found("removed", _delisted, "none"),
    "removed by recover": Found("removed", _recovered, "none"),
    "removed by end": Found("removed", _ended, "done", account=True),
    "removed by end, closed": Found("removed", lambda here: _ended(here, closed=True), "none"),
    "removed by end, completed": Found("removed", lambda here: _ended(here, ENDED), "done", account=True),
    "removed by end, completed and closed": Found("removed", lambda here: _ended(here, ENDED, closed=True), "none"),
    "removed by end, completed with success": Found("removed", lambda here: _ended(here, SUCCESS), "done", account=True),
    "removed by end, completed with failure": Found("removed", lambda here: _ended(here, FAILURE), "done", account=True),
    "removed by end, completed with nothing": Found("removed", lambda here: _ended(here, NEVER_PINNED), "done", account=True),
    "removed by end, success and closed": Found("removed", lambda here: _ended(here, SUCCESS, closed=True), "none"),
    "queued": Found("queued", _queued, "queued"),
    "running, the job waited": Found("running", _taken, "running"),
    "running, the host waited": Found("running", _met, "running"),
    "running, the host lacks an account": Found("running", lambda here: _taken(here, token_account=False), "running"),
    "stopped": Found("stopped", _given_up, "stopped"),
    "stopped, the host waited": Found("stopped", lambda here: _given_up(here, met=True), "stopped"),
    "claimed": Found("claimed", _claimed, "claimed"),
    "dead host": Found("dead host", lambda here: _dead(here, _taken), "running", alone=True),
    "dead host that waited": Found("dead host", lambda here: _dead(here, _met), "running", alone=True),
    "dead host that claimed": Found("dead host", lambda here: _dead(here, _claimed), "claimed", alone=True),
    "orphaned": Found("orphaned", _orphaned, "orphaned", alone=True),
    "orphaned, the host waited": Found("orphaned", lambda here: _orphaned(here, met=True), "orphaned", alone=True),
    "completed": Found("completed", lambda here: _finished(here, SUCCESS), "done", account=True),
    "completed, closed": Found("completed", lambda here: _finished(here, SUCCESS, closed=True), "none"),
    "failed": Found("failed", lambda here: _finished(here, FAILURE), "done", account=True),
    "failed, closed": Found("failed", lambda here: _finished(here, FAILURE, closed=True), "none"),
    "result unavailable": Found("result unavailable", lambda here: _finished(here, NEVER_PINNED), "done", account=True),
    "result unavailable, closed": Found("result unavailable", lambda here: _finished(here, NEVER_PINNED, closed=True), "none"),
}


def set_up(stage: Stage, found: str) -> Scene:
    """The scene in which exactly that is found, as the chain itself confirms."""
    here, wanted = scene(stage), FOUND[found]
    wanted.make(here)
    books = here.books()
    assert list(books.states.values()) == ([] if wanted.state == "none" else [wanted.state])
    assert books.in_vaults == books.deposits + here.lost
    return here
