"""The job service: what nosana_job does, without knowing Ansible."""
# Copyright (c) 2026, The nosana.compute contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection and may change without notice.

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from .._clients.errors import AmbiguousName, ChangeRefused, InvalidInput, Moved, NosanaError, NotFound, ProgramError
from .._clients.ipfs import cid_of, encode_document
from .._clients.rest import MarketListing
from .apply import MOVED_ON, Applier, BalanceChange, Draft, Prepared
from .budget import JOB_BYTES, MOST_TIMEOUT_SECONDS, check_declared, check_money, fee_taken
from .cache import Cache, facts_of_definition
from .chain import check_network, read_markets
from .foresight import Foresight
from .generations import Past
from .markets import Wish, choose, fits, standings
from .observation import Observation, ObservedJob
from .observe import Observer
from .outcome import Outcome, together
from .plan import Current, Desired, Extend, OnChange, Plan, Rerun, plan_absent, plan_present
from .reader import Documents, Learn, Reader
from .report import Cost, cost, gone, predict
from .settle import Settler, freed
from .verdict import Verdict
from .watch import Look, Wait, WaitFor, Watcher

if TYPE_CHECKING:
    from .._clients.clock import Clock
    from .._clients.ipfs import Ipfs
    from .._clients.networks import Network
    from .._clients.node import NodeApi
    from .._clients.pubsub import PubSub
    from .._clients.rest import Api
    from .._clients.rpc import Rpc
    from .._clients.transaction import Sender
    from .._libraries import solders
    from .progress import Tell

__all__ = ["MOST_TIMEOUT_SECONDS", "Declaration", "JobService", "Outcome", "Wait", "WaitFor"]

_RACES = 5
_RACE_SLEEP_SECONDS = 0.5
_NAMED_ADDRESSES = 10


@dataclass(frozen=True)
class Declaration:
    """What the user asked for, checked; the market is a slug, an address, or a wish. `max_cost`: NOS base units."""

    name: str
    document: dict[str, Any]
    market: str | Wish
    timeout_seconds: int | None
    on_change: OnChange = "replace"
    rerun: Rerun = "never"
    node: str | None = None
    max_cost_base_units: int | None = None


class JobService:
    """Observe, plan, apply, wait, judge, for one wallet on one network."""

    def __init__(
        self,
        *,
        network: Network,
        wallet: solders.keypair.Keypair,
        rpc: Rpc,
        ipfs: Ipfs,
        api: Api,
        node_api: NodeApi,
        sender: Sender,
        clock: Clock,
        cache: Cache | None = None,
        learn: Learn | None = None,
        pubsub: PubSub | None = None,
        tell: Tell | None = None,
        waiting: Callable[[], AbstractContextManager[None]] = nullcontext,
        foresight: Foresight[Any] | None = None,
    ) -> None:
        """`learn` is told the secrets in definitions that are read, so that whoever prints can mask them; `tell` how things stand while a job
        is waited for, which is what `waiting` is entered for; `foresight` is shared by the items of a loop.
        """
        self._foresight: Foresight[Any] = foresight or Foresight()
        self._network = network
        self._owner = str(wallet.pubkey())
        self._rpc = rpc
        self._api = api
        self._clock = clock
        documents = Documents(ipfs)
        self._observer = Observer(rpc, documents, network, wallet, clock, cache or Cache.none(), self._foresight)
        self._applier = Applier(rpc, ipfs, sender, network, wallet, clock)
        self._settler = Settler(self._applier, sender, clock, tell, waiting)
        self._reader = Reader(documents, network, learn)
        self._watcher = Watcher(
            network=network, node_api=node_api, reader=self._reader, clock=clock, pubsub=pubsub, tell=tell, waiting=waiting
        )

    # --- nosana_job ---------------------------------------------------------------------------------------------------

    async def present(self, declaration: Declaration, *, wait: Wait, dry_run: bool) -> Outcome:
        """Makes the declared job exist exactly once. With `dry_run` the plan is made and not applied."""
        market, first = await self._market_and_first_look(declaration)
        desired = Desired(
            declaration.name,
            declaration.document,
            cid_of(encode_document(declaration.document)),
            market,
            declaration.timeout_seconds,
            declaration.on_change,
            declaration.rerun,
            declaration.node,
        )

        tried: set[str] = set()
        looks = [first] if first is not None else []

        async def once(outcome: Outcome) -> Outcome:
            return await self._present_once(
                declaration, desired, outcome, tried, wait=wait, dry_run=dry_run, seen=looks.pop() if looks else None
            )

        return await self._until_it_stands_still(once)

    async def _market_and_first_look(self, declaration: Declaration) -> tuple[str, Observation | None]:
        """The market's address (a wish has none yet). Where the market list has to be asked for it, the chain is looked at beside that: the
        market is most likely the one of the last time, which is read along.
        """
        if isinstance(declaration.market, Wish):
            return "", None
        if self._api.knows(declaration.market) or not self._observer.remembers_market(declaration.name):
            return await self._api.resolve_market(declaration.market), None
        market, seen = await asyncio.gather(
            self._api.resolve_market(declaration.market), self._observer.by_name(declaration.name), return_exceptions=True
        )
        if isinstance(market, BaseException):
            raise market
        if isinstance(seen, BaseException):
            raise seen
        found = seen.markets.get(market)
        return market, None if found is None else replace(seen, market=found)

    async def absent(self, name: str, *, dry_run: bool, purge: bool = False) -> Outcome:
        """Makes no job of the name wait or run. `purge` also closes accounts of finished jobs, whose rent then comes home."""

        async def once(outcome: Outcome) -> Outcome:
            return await self._absent_once(name, purge, outcome, dry_run=dry_run)

        return await self._until_it_stands_still(once)

    async def remove(self, address: str, *, dry_run: bool) -> Outcome:
        """Makes the job at an address neither wait nor run, whatever its name is."""

        async def once(outcome: Outcome) -> Outcome:
            job, now = await self._observer.by_address(address)
            if job is not None and job.account.project != self._owner:
                raise InvalidInput(f"The job {address} belongs to {job.account.project}, and the wallet is {self._owner}.")
            current = None if job is None else await self._reader.judged(job, await self._reader.definition_if_readable(job), now)
            name = (facts_of_definition(current.definition).name if current else None) or address
            return await self._remove(plan_absent(name, current), name, current, outcome, missing=False, dry_run=dry_run)

        return await self._until_it_stands_still(once)

    async def _until_it_stands_still(self, once: Callable[[Outcome], Awaitable[Outcome]]) -> Outcome:
        """Looks, plans and acts; looks again when the chain moved on in between and nothing was done yet."""
        earlier: Outcome | None = None
        for race in range(1, _RACES + 1):
            outcome = Outcome()
            try:
                return together(earlier, await once(outcome))
            except NosanaError as error:
                if race == _RACES or outcome.actions or not _moved(error, race):
                    if (earlier is None or earlier.balance_change == BalanceChange()) and outcome.balance_change == BalanceChange():
                        raise
                    # What was spent all the same is told by an outcome only.
                    outcome.failure, outcome.changed = error, bool(outcome.actions)
                    return together(earlier, outcome)
            if outcome.refused is not None:
                # What moved on may be our own doing: the transaction landed by a copy of the request whose answer was lost.
                receipt = await self._applier.landed_after_all(*outcome.refused)
                if receipt is not None:
                    outcome.add(receipt)
            earlier = together(earlier, outcome)
            await self._clock.sleep(_RACE_SLEEP_SECONDS * (0.5 + self._clock.random()))
        raise Moved("The chain moved on each time that it was looked at; run the task again.")

    async def _present_once(
        self,
        declaration: Declaration,
        desired: Desired,
        outcome: Outcome,
        tried: set[str],
        *,
        wait: Wait,
        dry_run: bool,
        seen: Observation | None = None,
        anew: bool = False,
    ) -> Outcome:
        """`seen`: the chain was looked at already. `anew`: it is looked at even when something was foreseen."""
        past: Past = "lenient" if desired.rerun in ("finished", "always") else "strict"
        # A wish needs the market first.
        if seen is None:
            seen = await self._observer.by_name(desired.name, market=desired.market or None, foreseen=bool(desired.market) and not anew)
        if seen.foreseen and (not seen.active or seen.market is None):
            seen = await self._observer.by_name(desired.name, market=desired.market)
        if isinstance(declaration.market, Wish):
            if not seen.active:
                seen = await self._observer.complete(seen, cid=desired.cid, past=past)
            desired, seen = await self._granted(declaration.market, desired, seen)
        desired = _without_rerun(desired, seen, tried)
        market = seen.market
        if market is None:
            await check_network(self._rpc, self._network, knows_program=seen.knows_program)
            raise NotFound(f"There is no market {declaration.market} on {self._network.name} (no account at {desired.market}).")
        current = await self._current(seen, desired)
        plan = plan_present(desired, current, market_timeout_seconds=market.job_timeout_seconds)
        if seen.foreseen and (plan.changed or plan.refusal is not None):
            return await self._present_once(declaration, desired, outcome, tried, wait=wait, dry_run=dry_run, anew=True)
        prepared: list[Prepared] = []
        asked_about: str | None = None  # the address whose first use was asked for beside everything else
        first_use: int | None = None
        if plan.posts is not None or not seen.active:
            # The authoritative read before money is spent, and beside it what the posting would cost if that read changes nothing.
            check_declared(plan, desired, market)
            drafts = self._drafts(plan, desired, seen, seen.expected)
            asked_about = freed(seen, seen.expected, drafts)
            completed, prepared, _checked, first_use = await asyncio.gather(
                self._observer.complete(seen, cid=desired.cid, past=past),
                self._prepare(drafts),
                check_network(self._rpc, self._network, knows_program=seen.knows_program),
                self._applier.first_use(asked_about) if asked_about else _nothing(),
            )
            seen = replace(completed, market=market)
            desired = _without_rerun(desired, seen, tried)
            current = await self._current(seen, desired, complete=True)
            planned = plan_present(desired, current, market_timeout_seconds=market.job_timeout_seconds)
            if planned.actions != plan.actions or (planned.posts and seen.generation != seen.expected):
                prepared = await self._prepare(self._drafts(planned, desired, seen, seen.generation or 0))
            plan = planned
        elif plan.actions:
            prepared = await self._prepare(self._drafts(plan, desired, seen, 0))
        outcome.warn([*seen.warnings, *plan.warnings])
        outcome.changed, outcome.before, outcome.after = plan.changed, plan.before, plan.after
        if plan.refusal is not None:
            outcome.failure = ChangeRefused(plan.refusal)
            outcome.job = None if current is None else self._reader.describe(current.job, desired.name, current.definition, current.verdict)
            return outcome
        check_declared(plan, desired, market)
        fee = check_money(
            plan,
            seen,
            prepared,
            name=desired.name,
            wallet=self._owner,
            nos_mint=self._network.nos_mint,
            max_cost_base_units=declaration.max_cost_base_units,
        )
        generation = seen.generation or 0
        address = seen.identity.address(generation) if plan.posts is not None else current.job.address if current else ""
        document = desired.document if plan.posts is not None or current is None or current.definition is None else current.definition
        if dry_run or not plan.changed:
            outcome.job = self._foretold(plan, desired, seen, current, address, fee)
        if dry_run:
            return outcome
        known = None if plan.posts is not None or current is None else current.job
        if plan.changed:
            if plan.posts is not None:
                await self._are_orphans([job for job in seen.jobs if job.phase == "orphaned"])
                tried.add(address)
                last = freed(seen, generation, [each.draft for each in prepared])
                if last is not None:
                    outcome.failure = await self._settler.settle(last, desired.name, first_use if last == asked_about else None, seen.slot)
                    if outcome.failure is not None:
                        outcome.changed = False
                        if current is not None:
                            outcome.job = self._reader.describe(current.job, desired.name, current.definition, current.verdict)
                        return outcome
                self._observer.know(desired.cid, desired.document)
            await self._apply(prepared, document if plan.posts else None, outcome, address, desired.name)
            if outcome.failure is not None:
                return outcome

        async def again() -> tuple[ObservedJob | None, int]:
            nonlocal known
            if known is not None and known.closed:
                return known, seen.now_seconds
            job, now = await (self._observer.refresh(known) if known else self._observer.posted(seen.identity, generation, desired.market))
            known = job or known
            return job, now

        first = None if plan.changed or current is None else Look(current.job, current.verdict, now_seconds=seen.now_seconds)
        fee_of = fee_taken(outcome, plan)
        await self._watcher.watch(again, address, desired.name, document, wait, outcome, first=first, fee_of=fee_of)
        return outcome

    async def _are_orphans(self, jobs: Sequence[ObservedJob]) -> None:
        """Raises Moved where a host runs one of them that the RPC node did not show: nothing is posted beside that."""
        for job, runs in zip(jobs, await asyncio.gather(*map(self._observer.accounts.may_run, jobs)), strict=True):
            if runs:
                raise Moved(f"A host may run the job {job.address}, which the RPC node did not show before; run the task again.")

    async def _absent_once(self, name: str, purge: bool, outcome: Outcome, *, dry_run: bool) -> Outcome:
        seen = await self._observer.by_name(name)
        active = [job for job in seen.jobs if job.active]
        drafts = (
            self._removal_drafts(plan_absent(name, Current(active[0], None, _UNJUDGED)), seen) if len(active) == 1 and not purge else []
        )
        completed, prepared, _read = await asyncio.gather(
            self._observer.complete(seen, past="accounts"),
            self._prepare(drafts),
            self._reader.read_ahead(active[0]) if active else _nothing(),
        )
        if purge:
            completed = await self._observer.all_generations(completed)
        current = await self._current(completed, None, complete=True)
        cleanable, locked = await self._cleanable(completed) if purge else ([], [])
        plan = plan_absent(name, current, cleanable=cleanable, locked=locked)
        if not drafts or current is None or current.job != active[0]:
            prepared = []
        outcome.warn(completed.warnings)
        return await self._remove(
            plan, name, current, outcome, missing=completed.nos_base_units is None, dry_run=dry_run, prepared=prepared
        )

    async def _remove(
        self,
        plan: Plan,
        name: str,
        current: Current | None,
        outcome: Outcome,
        *,
        missing: bool,
        dry_run: bool,
        prepared: Sequence[Prepared] = (),
    ) -> Outcome:
        outcome.changed, outcome.before, outcome.after = plan.changed, plan.before, plan.after
        outcome.warn(plan.warnings)
        if current is not None:
            outcome.job = self._reader.describe(current.job, name, current.definition, current.verdict)
        if not plan.changed:
            return outcome
        drafts = self._applier.drafts(plan.actions, token_account_missing=missing)
        if dry_run:
            return outcome
        if not prepared:
            prepared = await self._prepare(drafts)
        for each in prepared:
            if each.error is not None:
                raise each.error
        await self._apply(prepared, None, outcome, current.job.address if current else "", name)
        if current is not None and outcome.actions:
            try:
                now, seconds = await self._observer.refresh(current.job)
                judged = await self._reader.judged(now, current.definition, seconds) if now is not None else None
            except NosanaError as error:
                outcome.failure = outcome.failure or error
                return outcome
            if now is not None and judged is not None:
                outcome.job = self._reader.describe(now, name, current.definition, judged.verdict)
            elif outcome.job is not None:
                # A job that was over stays what it was when its account is closed.
                outcome.job |= gone(current.job) if current.job.active else {"chain_state": "closed"}
        return outcome

    async def _apply(
        self, prepared: Sequence[Prepared], document: dict[str, Any] | None, outcome: Outcome, address: str, name: str
    ) -> None:
        """Sends what was drafted. What was done stands in the outcome, whatever happens afterwards."""
        outcome.changed = False
        self._foresight.forget()
        for each in prepared:
            try:
                receipt = await self._applier.carry_out(each, document=document)
            except NosanaError as error:
                moved = isinstance(error, Moved) or (isinstance(error, ProgramError) and error.name in MOVED_ON)
                outcome.spend(await self._applier.lost(error))
                signature = error.details.get("signature")
                outcome.refused = (each.draft, signature) if signature else None
                if moved and not outcome.actions:
                    raise
                if moved and all(step.kind == "clean" for step in each.draft.steps):
                    outcome.warn(["Somebody else closed one of the finished accounts meanwhile; run it again for those beside it."])
                    continue
                outcome.failure = error
                if address and outcome.job is None:
                    outcome.job = {"address": address, "name": name}
                return
            outcome.add(receipt)

    # --- drafts, money ------------------------------------------------------------------------------------------------

    def _drafts(self, plan: Plan, desired: Desired, seen: Observation, generation: int) -> list[Draft]:
        return self._applier.drafts(
            plan.actions,
            desired=desired,
            identity=seen.identity,
            generation=generation,
            token_account_missing=seen.nos_base_units is None,
        )

    def _removal_drafts(self, plan: Plan, seen: Observation) -> list[Draft]:
        return self._applier.drafts(plan.actions, token_account_missing=seen.nos_base_units is None)

    async def _prepare(self, drafts: Sequence[Draft]) -> list[Prepared]:
        """Asks what the transaction would cost. Where there are several, each is asked when its turn comes."""
        if len(drafts) == 1:
            return [await self._applier.prepare(drafts[0])]
        return [Prepared(draft) for draft in drafts]

    async def _cleanable(self, seen: Observation) -> tuple[list[ObservedJob], list[str]]:
        """Finished jobs of the name whose accounts the program closes now, and sentences about those that it does not close yet."""
        finished = [job for job in seen.jobs if job.phase == "done" and not job.closed]
        markets = await read_markets(self._rpc, self._network, sorted({job.account.market for job in finished}))
        cleanable, locked = [], []
        for job in finished:
            market = markets.get(job.account.market)
            free_at = job.account.time_end + (market.job_expiration_seconds if market else 0)
            if market is None:
                locked.append(f"The account of the finished job {job.address} cannot be closed, because its market is gone.")
            elif free_at < seen.now_seconds:
                cleanable.append(job)
            else:
                locked.append(
                    f"The account of the finished job {job.address} cannot be closed for another {free_at - seen.now_seconds + 1} s; its rent "
                    f"of {job.lamports} lamports comes home when purge is asked for after that."
                )
        return cleanable, locked

    # --- the market ---------------------------------------------------------------------------------------------------

    async def _granted(self, wish: Wish, desired: Desired, seen: Observation) -> tuple[Desired, Observation]:
        """The market that a wish comes to: that of the job that waits or runs while it fits, else the cheapest. What prices do since a job was
        posted is no reason to replace it; where it is replaced for another one, the new job pays the present price, so that has to fit.
        """
        listings = await self._api.listings()
        if len(seen.active) == 1:
            address = seen.active[0].account.market
            listing = next((entry for entry in listings if entry.address == address), None)
            if listing is None or fits(listing, replace(wish, max_price=None)):
                market = (await read_markets(self._rpc, self._network, [address])).get(address)
                stays, there = replace(desired, market=address), replace(seen, market=market)
                if market is None or fits(replace(listing or MarketListing(address), price=market.job_price), wish):
                    return stays, there
                plan = plan_present(stays, await self._current(there, stays), market_timeout_seconds=market.job_timeout_seconds)
                if plan.posts is None:
                    return stays, there
        markets = await read_markets(
            self._rpc, self._network, [entry.address for entry in listings if fits(entry, replace(wish, max_price=None))]
        )
        chosen = choose(listings, wish, standings(markets)).address
        return replace(desired, market=chosen), replace(seen, market=markets[chosen])

    # --- reading ------------------------------------------------------------------------------------------------------

    async def _current(self, seen: Observation, desired: Desired | None, *, complete: bool = False) -> Current | None:
        """The one job that counts: the active one, else the newest that is over. More than one active is an error, never a guess.

        Its definition is read unless it is the declared one. It must be readable to be compared; to remove a job it need not be.
        """
        active = seen.active
        if len(active) > 1:
            addresses = [job.address for job in active]
            raise AmbiguousName(
                f"{len(active)} active jobs have the name {seen.identity.name}: {', '.join(addresses[:_NAMED_ADDRESSES])}"
                + (" and more" if len(addresses) > _NAMED_ADDRESSES else "")
                + "; remove all but one, each with state=absent and its address as id.",
                addresses=addresses,
            )
        job = active[0] if active else seen.latest
        if job is None:
            return None
        if desired is not None and job.definition_cid == desired.cid:
            definition: dict[str, Any] | None = desired.document
        elif desired is not None and (job.active or (desired.rerun in ("never", "failed") and desired.on_change != "ignore")):
            definition = await self._definition_to_compare(job)
        else:
            definition = await self._reader.definition_if_readable(job)
        current = await self._reader.judged(job, definition, seen.now_seconds)
        if desired is None or job.phase != "done":
            return current
        if job.result_cid is None:
            return replace(current, removed=True)  # over without a word of a host: only its owner's end does that
        # A host may complete a job after the end, with whatever it likes; the job's history tells, once and for all.
        if not complete or not await self._observer.generations.was_ended(job):
            claimed = complete and current.verdict.reason == "stopped"
            return replace(current, verdict=_not_stopped(current.verdict)) if claimed else current
        return replace(current, removed=True)

    async def _definition_to_compare(self, job: ObservedJob) -> dict[str, Any]:
        try:
            return await self._reader.definition(job)
        except NotFound:
            remedy = "remove the job with state=absent first" if job.active else "set rerun=finished to post another one"
            raise NotFound(
                f"The definition {job.definition_cid} of the job {job.address} is found nowhere on IPFS, so it cannot be compared with the "
                f"declared one and nothing was changed; run it again later, or {remedy}."
            ) from None

    # --- describing ---------------------------------------------------------------------------------------------------

    def _foretold(
        self, plan: Plan, desired: Desired, seen: Observation, current: Current | None, address: str, fee: int | None
    ) -> dict[str, Any] | None:
        """The job as it will be when the plan is applied; as it is when there is nothing to do."""
        if plan.posts is not None and seen.market is not None:
            known = Cost(fee, seen.rent_lamports(JOB_BYTES))
            return predict(
                desired,
                address=address,
                timeout_seconds=plan.posts.timeout_seconds,
                price=seen.market.job_price,
                network=self._network,
                known=known,
            )
        if current is None:
            return None
        job = self._reader.describe(current.job, desired.name, current.definition or desired.document, current.verdict)
        for action in plan.actions:
            if isinstance(action, Extend):
                known = Cost(fee, current.job.lamports or None)
                job |= {"timeout": action.timeout_seconds, "cost": cost(current.job.account.price, action.timeout_seconds, None, known)}
        return job


_UNJUDGED = Verdict("pending", None, "")


def _moved(error: NosanaError, race: int) -> bool:
    """Whether the chain moved on between looking and acting. What was read at two moments may also show a job and the one that took its
    place; in the next look they are not there together.
    """
    if isinstance(error, AmbiguousName):
        return race == 1
    return isinstance(error, Moved) or (isinstance(error, ProgramError) and error.name in MOVED_ON)


def _not_stopped(verdict: Verdict) -> Verdict:
    sentence = "The host calls the job stopped by its owner, and the chain knows of no such end."
    return replace(verdict, status="failed", reason="host_error", sentence=sentence)


async def _nothing() -> None:
    return None


def _without_rerun(desired: Desired, seen: Observation, tried: set[str]) -> Desired:
    """Where we were about to post there is a job by now, somebody else's or our own: that is the new run which rerun asks for."""
    jobs = (*seen.jobs, *((seen.latest,) if seen.latest else ()))
    return replace(desired, rerun="never") if any(job.address in tried for job in jobs) else desired
