"""Somebody acts between a task's look and its deed: a host, another playbook, the market's owner, or whoever has the wallet too.

Each race is run three times: before the transaction is simulated; after that, when it is about to be sent; and when it is sent and nobody
has refused it, so that it fails on the chain itself and costs its fee, the only one of the three on a real node. Whatever happens, what the
task says about money is what the ledger says.
"""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import struct
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
from actors import PROGRAMS, Host, vault_of
from chain import until
from scenes import EXPIRATION, SUCCESS, Scene, scene
from solders.account import Account
from solders.instruction import AccountMeta, Instruction
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer
from stage import PRICE, TIMEOUT, Stage
from test_transitions import REAL, Others, Run, kinds_of, run

from ansible_collections.nosana.compute.plugins.module_utils._ansible import tasks
from ansible_collections.nosana.compute.plugins.module_utils._clients.errors import NosanaError
from ansible_collections.nosana.compute.plugins.module_utils._clients.rpc import Rpc
from ansible_collections.nosana.compute.plugins.module_utils._clients.transaction import Landed, Quote, Sender
from nosana_localnet import idl
from nosana_localnet.genesis import JOBS_PROGRAM
from nosana_localnet.ledger import SYSTEM_PROGRAM, TOKEN_PROGRAM, create_token_account, token_address

LONGER, EVEN_LONGER = TIMEOUT + 100, TIMEOUT + 200
RED, BLUE = {"env": {"COLOUR": "red"}}, {"env": {"COLOUR": "blue"}}
FULL = 314

Meanwhile = Callable[[], object]


@dataclass
class Interruption:
    """What happens once, as soon as the next task has come to that point."""

    when: str
    meanwhile: Meanwhile | None = None

    def at(self, point: str) -> None:
        if point == self.when and self.meanwhile is not None:
            meanwhile, self.meanwhile = self.meanwhile, None
            meanwhile()


MOMENTS = ("before it is simulated", "before it is sent", "before it lands")


@pytest.fixture(params=MOMENTS[2:] if REAL else MOMENTS)
def interruption(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Interruption:
    now = Interruption(request.param)

    class Interrupted(Sender):
        async def quote(self, *args: Any, fee_payer: Any, action: str) -> Quote:
            now.at("before it is simulated")
            return await super().quote(*args, fee_payer=fee_payer, action=action)

        async def send(self, *args: Any, fee_payer: Any, action: str, **options: Any) -> Landed:
            now.at("before it is sent")
            return await super().send(*args, fee_payer=fee_payer, action=action, **options)

    class Careless(Rpc):
        """Passes a transaction on as it is, when the others were quicker: it fails on the chain, and its fee is paid."""

        async def send_transaction(self, raw: bytes, *, action: str, everywhere: bool = False) -> str | None:
            if now.when != "before it lands" or now.meanwhile is None:
                return await super().send_transaction(raw, action=action, everywhere=everywhere)
            now.at("before it lands")
            options = {"encoding": "base64", "skipPreflight": True, "maxRetries": 0}
            signature: str = await self._ask("sendTransaction", [base64.b64encode(raw).decode(), options], str)
            return signature

    monkeypatch.setattr(tasks, "Sender", Interrupted)
    monkeypatch.setattr(tasks, "Rpc", Careless)
    return now


@dataclass
class Race:
    """A scene, and what happens in it meanwhile."""

    here: Scene
    interruption: Interruption

    def task(self, meanwhile: Meanwhile, **options: Any) -> Run:
        """A task, interrupted. What the others did to the wallet meanwhile is not the task's."""
        others, here = Others(), self.here

        def counted() -> None:
            before, known = here.books().wallet, here.stage.chain.signatures_of(here.poster.address)
            meanwhile()
            others.money = here.books().wallet - before
            others.signatures = here.stage.chain.signatures_of(here.poster.address) - known

        self.interruption.meanwhile = counted
        done = run(here, check_mode=False, others=others, **options)
        assert self.interruption.meanwhile is None, "it was not interrupted"
        return done

    def another(self, **options: Any) -> Meanwhile:
        """Another playbook with the same wallet, which is quicker. Under one blockhash both would send one and the same transaction."""

        def quicker() -> None:
            chain = self.here.stage.chain
            known = chain.blockhash()
            if self.here.alone:
                self.here.stage.network.call(lambda network: network.ledger.tick())
            until(lambda: chain.blockhash() != known)
            with ThreadPoolExecutor(1) as pool:
                done = pool.submit(self.here.poster.job, **options).result()
            assert done.failure is None
            assert done.values["changed"]

        return quicker

    def posted(self) -> Pubkey:
        return self.here.poster.post()

    def taken(self) -> tuple[Host, Pubkey]:
        job, host = self.posted(), self.here.host()
        host.work()
        return host, job


@pytest.fixture
def race(alone: Stage, interruption: Interruption) -> Race:
    return Race(scene(alone), interruption)


TASKS: dict[str, dict[str, Any]] = {"removed": {"state": "absent"}, "replaced": RED, "extended": {"timeout": LONGER}}


def settled(race: Race, **options: Any) -> None:
    """The same task finds nothing to do."""
    again = run(race.here, check_mode=False, **options)
    assert kinds_of(again) == []
    assert not again.values["changed"]


# --- hosts ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("task", "done"), [("removed", ["end"]), ("replaced", ["end", "post"]), ("extended", ["extend"])])
def test_a_host_takes_the_job_while_it_is(race: Race, task: str, done: list[str]) -> None:
    race.posted()
    host = race.here.host()
    ran = race.task(host.work, **TASKS[task])
    assert kinds_of(ran) == done
    settled(race, **TASKS[task])


@pytest.mark.parametrize(
    ("task", "done", "status"), [("removed", [], "completed"), ("replaced", ["post"], "pending"), ("extended", [], "completed")]
)
def test_a_host_finishes_while_its_job_is(race: Race, task: str, done: list[str], status: str) -> None:
    host, job = race.taken()
    ran = race.task(lambda: host.finish(job, race.here.stage.pin(SUCCESS)), **TASKS[task])
    assert kinds_of(ran) == done
    assert (ran.values["changed"], ran.values["status"]) == (bool(done), status)
    settled(race, **TASKS[task])


@pytest.mark.parametrize(("task", "done"), [("removed", ["recover"]), ("replaced", ["recover", "post"]), ("extended", ["recover", "post"])])
def test_a_host_gives_up_while_its_job_is(race: Race, task: str, done: list[str]) -> None:
    host, job = race.taken()
    ran = race.task(lambda: host.quit(job), **TASKS[task])
    assert kinds_of(ran) == done
    settled(race, **TASKS[task])


@pytest.mark.parametrize(("task", "done"), [("removed", ["recover"]), ("replaced", ["recover", "post"])])
def test_another_host_claims_while_the_job_is(race: Race, task: str, done: list[str]) -> None:
    """The program recovers what was claimed too: whatever the second host has done, the whole deposit comes home."""
    host, job = race.taken()
    host.quit(job)
    second = race.here.host()
    race.here.stage.settle()
    ran = race.task(lambda: second.claim(job), **TASKS[task])
    assert kinds_of(ran) == done
    settled(race, **TASKS[task])


def test_a_host_comes_while_the_job_is_posted(race: Race) -> None:
    """The market's queue of hosts is another kind of queue, and the same listing."""
    host = race.here.host()
    ran = race.task(host.work)
    assert kinds_of(ran) == ["post"]
    assert (ran.values["status"], ran.values["job"]["host"]) == ("running", str(host.address))


def test_the_declared_host_leaves(race: Race) -> None:
    host = race.here.host()
    host.work()
    ran = race.task(host.stop, node=str(host.address))
    assert (
        said(ran.error)
        == f"The host {host.address} does not wait in the market {race.here.poster.market}, so no job can be assigned to it."
    )
    assert race.here.jobs == []


# --- other playbooks ------------------------------------------------------------------------------------------------------


def test_another_posts_the_same_first(race: Race) -> None:
    ran = race.task(race.another())
    assert (kinds_of(ran), ran.values["changed"]) == ([], False)
    assert [str(job) for job in race.here.books().active] == [ran.values["id"]]


@pytest.mark.parametrize(("on_change", "done"), [("replace", ["delist", "post"]), ("ignore", [])])
def test_another_posts_something_else_first(race: Race, on_change: str, done: list[str]) -> None:
    ran = race.task(race.another(**RED), **BLUE, on_change=on_change)
    assert kinds_of(ran) == done
    assert bool(ran.warnings) == (on_change == "ignore")
    assert [str(job) for job in race.here.books().active] == [ran.values["id"]]


def test_another_posts_something_else_first_and_change_is_refused(race: Race) -> None:
    ran = race.task(race.another(**RED), **BLUE, on_change="fail")
    assert ran.error is not None
    assert ran.error.code == "change_refused"
    assert len(race.here.books().active) == 1


@pytest.mark.parametrize("rerun", ["finished", "always"])
def test_another_runs_it_anew_first(race: Race, rerun: str) -> None:
    host, job = race.taken()
    host.finish(job, race.here.stage.pin(SUCCESS))
    ran = race.task(race.another(rerun=rerun), rerun=rerun)
    # Whoever is refused takes theirs for the run that was asked for; whoever sees theirs in time does as if it had come later.
    seen = rerun == "always" and race.interruption.when == "before it is simulated"
    assert kinds_of(ran) == (["delist", "post"] if seen else [])
    assert [str(active) for active in race.here.books().active] == [ran.values["id"]]


@pytest.mark.parametrize(("task", "done"), [("removed", []), ("replaced", ["post"]), ("extended", ["post"])])
def test_another_removes_the_job_first_while_it_is(race: Race, task: str, done: list[str]) -> None:
    race.posted()
    ran = race.task(race.another(state="absent"), **TASKS[task])
    assert kinds_of(ran) == done
    settled(race, **TASKS[task])


def test_another_replaces_it_by_the_same_first(race: Race) -> None:
    race.posted()
    ran = race.task(race.another(**RED), **RED)
    assert kinds_of(ran) == []
    assert len(race.here.books().active) == 1


@pytest.mark.parametrize(
    ("first", "done", "timeout"), [(TIMEOUT + 50, ["extend"], LONGER), (LONGER, [], LONGER), (EVEN_LONGER, [], EVEN_LONGER)]
)
def test_another_extends_it_first(race: Race, first: int, done: list[str], timeout: int) -> None:
    race.posted()
    ran = race.task(race.another(timeout=first), timeout=LONGER)
    assert kinds_of(ran) == done
    assert ran.values["job"]["timeout"] == timeout
    assert bool(ran.warnings) == (first > LONGER)
    assert race.here.books().deposits == timeout * PRICE


def test_another_replaces_it_first_while_it_is_removed(race: Race) -> None:
    race.posted()
    race.here.stage.settle()
    ran = race.task(race.another(**RED), state="absent")
    assert kinds_of(ran) == ["delist"]
    assert race.here.jobs == []


# --- the market -----------------------------------------------------------------------------------------------------------


def update(here: Scene, *, price: int) -> None:
    faucet = here.stage.faucet
    values = {"job_expiration": EXPIRATION, "job_price": price, "job_timeout": TIMEOUT, "job_type": 4, "node_stake_minimum": 0}
    accounts = {"market": here.poster.market, "access_key": SYSTEM_PROGRAM, "authority": faucet.key.pubkey()}
    here.stage.chain.send([idl.instruction("update", JOBS_PROGRAM, accounts, values)], [faucet.key])


def purse(here: Scene) -> None:
    """The faucet's own token account, for those who pay it."""
    faucet = here.stage.faucet.key
    if here.stage.chain.data(token_address(faucet.pubkey())) is None:
        here.stage.chain.send([create_token_account(faucet.pubkey(), faucet.pubkey())], [faucet])


def close(here: Scene) -> None:
    faucet, market = here.stage.faucet, here.poster.market
    purse(here)
    accounts = PROGRAMS | {
        "market": market,
        "vault": vault_of(market),
        "user": token_address(faucet.key.pubkey()),
        "authority": faucet.key.pubkey(),
    }
    here.stage.chain.send([idl.instruction("close", JOBS_PROGRAM, accounts)], [faucet.key])


@pytest.mark.parametrize("price", [PRICE - 1, PRICE + 1])
def test_the_price_changes_while_the_job_is_posted(race: Race, price: int) -> None:
    ran = race.task(lambda: update(race.here, price=price))
    assert kinds_of(ran) == ["post"]
    assert -ran.spent.nos == race.here.books().in_vaults == price * TIMEOUT
    cost = ran.values["job"]["cost"]
    assert (cost["price_per_second_base_units"], cost["deposit_base_units"], cost["network_fee_base_units"]) == (price, price * TIMEOUT, 0)
    settled(race)


def test_the_price_changes_while_the_job_is_extended(race: Race) -> None:
    """A job keeps the price that it was posted at."""
    race.posted()
    ran = race.task(lambda: update(race.here, price=PRICE + 1), timeout=LONGER)
    assert kinds_of(ran) == ["extend"]
    assert -ran.spent.nos == 100 * PRICE
    assert ran.values["job"]["cost"]["network_fee_base_units"] == 0


def test_the_price_rises_above_max_cost(alone: Stage, interruption: Interruption) -> None:
    """What the simulation moves is what counts; between that and the sending nothing can."""
    race = Race(scene(alone), interruption)
    if interruption.when != "before it is simulated":
        pytest.skip("the program takes the price of the moment")
    ran = race.task(lambda: update(race.here, price=PRICE * 2), max_cost=f"{PRICE * TIMEOUT / 10**6:f}")
    assert said(ran.error).startswith("The job job would cost up to 0.0516 NOS for 600 s, and max_cost is 0.0258 NOS")
    assert race.here.jobs == []


def test_the_market_closes(race: Race) -> None:
    market = race.here.poster.market
    ran = race.task(lambda: close(race.here))
    assert said(ran.error).startswith(f"There is no market {market} on localnet")
    assert (ran.spent.nos, race.here.jobs) == (0, [])


@pytest.mark.skipif(REAL, reason="writes to the ledger")
@pytest.mark.parametrize("task", ["posted", "replaced"])
def test_the_queue_gets_full(race: Race, task: str) -> None:
    here = race.here
    if task == "replaced":
        here.poster.post()

    def fill() -> None:
        market = here.stage.chain.accounts([here.poster.market])[here.poster.market]
        assert market is not None
        fields = idl.decode_account("MarketAccount", market.data)
        fields |= {"queue_type": 0, "queue": [*fields["queue"], *(Pubkey.new_unique() for _entry in range(FULL - len(fields["queue"])))]}
        data = idl.encode_account("MarketAccount", fields, size=idl.MARKET_BYTES)
        here.stage.network.call(lambda found: found.ledger.put(here.poster.market, Account(market.lamports, data, market.owner)))

    ran = race.task(fill, **(RED if task == "replaced" else {}))
    if task == "replaced":
        assert kinds_of(ran) == ["delist", "post"]  # its own place is free again
        return
    assert "queue" in said(ran.error)
    assert here.jobs == []


# --- the wallet -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", ["posted", "extended", "replaced"])
@pytest.mark.parametrize("what", ["NOS", "SOL"])
def test_the_wallet_is_emptied(race: Race, what: str, task: str) -> None:
    here, owner, faucet = race.here, race.here.poster.key, race.here.stage.faucet.key.pubkey()
    if task != "posted":
        here.poster.post()
    money = here.poster.money
    purse(here)

    def empty() -> None:
        if what == "SOL":
            here.stage.chain.send(
                [transfer(TransferParams(from_pubkey=owner.pubkey(), to_pubkey=faucet, lamports=money.lamports - 5000))], [owner]
            )
            return
        metas = [
            AccountMeta(token_address(owner.pubkey()), False, True),
            AccountMeta(token_address(faucet), False, True),
            AccountMeta(owner.pubkey(), True, False),
        ]
        here.stage.chain.send([Instruction(TOKEN_PROGRAM, struct.pack("<BQ", 3, money.nos), metas)], [owner])

    if what == "SOL" and race.interruption.when == "before it lands":
        pytest.skip("no node takes a transaction whose fee cannot be paid, so it is waited for until it is too old")
    jobs = here.jobs
    race.interruption.meanwhile = empty
    options = {} if task == "posted" else TASKS[task]
    if what == "NOS" and task == "replaced":
        done = here.poster.job(**options)  # the deposit that comes home pays the next
        assert [action["action"] for action in done.values["actions"]] == ["delist", "post"]
        return
    error = refusal(here, **options)
    assert error.code == "insufficient_funds"
    assert said(error).startswith(f"Not enough {what} to ")
    assert here.jobs == jobs


def refusal(here: Scene, **options: Any) -> NosanaError:
    """With what a task fails, be it raised or returned beside what was done."""
    try:
        failure = here.poster.job(**options).failure
    except NosanaError as error:
        failure = error
    assert failure is not None
    return failure


def said(error: NosanaError | None) -> str:
    """An error's sentence: one line, not too long."""
    assert error is not None
    sentence = str(error)
    assert "\n" not in sentence
    assert len(sentence) < 400
    assert sentence.endswith(".")
    return sentence
