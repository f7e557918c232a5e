"""The job service: what nosana_job does, without knowing Ansible."""
# Copyright (c) 2026, The nosana.compute contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection and may change without notice.

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from .._clients import program as jobs_program
from .._clients.errors import (
    AmbiguousName,
    ChangeRefused,
    CostLimit,
    InsufficientFunds,
    InvalidInput,
    JobFailed,
    Moved,
    NosanaError,
    NotFound,
    ProgramError,
    WaitTimeout,
)
from .._clients.ipfs import cid_of, encode_document
from .apply import MOVED_ON, Applier, BalanceChange, Done, Draft, Prepared
from .cache import Cache, facts_of_definition
from .chain import check_network, read_markets
from .markets import Wish, choose, fits, standings
from .money import BUDGETED_FEE_FRACTION, TRANSACTION_FEE_BUDGET_LAMPORTS, Need, check_funds, nos
from .observe import Observation, ObservedJob, Observer
from .plan import Current, Desired, Extend, OnChange, Plan, Post, Remove, Rerun, plan_absent, plan_present
from .reader import Learn, Reader
from .report import Cost, cost, predict, result_url
from .verdict import Verdict, log_tail
from .wait import Progress, wait_until

if TYPE_CHECKING:
    from .._clients.clock import Clock
    from .._clients.ipfs import Ipfs
    from .._clients.networks import Network
    from .._clients.node import NodeApi
    from .._clients.rest import Api
    from .._clients.rpc import Rpc
    from .._clients.transaction import Sender
    from .._libraries import solders

WaitFor = Literal["posted", "running", "ready", "completed"]

_JOB_BYTES, _RUN_BYTES, _TOKEN_ACCOUNT_BYTES = 240, 120, 165
_RACES = 5


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


@dataclass(frozen=True)
class Wait:
    """How long to wait, for what, and how often to look."""

    goal: WaitFor
    timeout_seconds: float
    sleep_seconds: float


@dataclass
class Outcome:
    """What a run did and saw. `failure` is set instead of raised, so that what was already done is never lost from the result."""

    changed: bool = False
    job: dict[str, Any] | None = None
    actions: list[Done] = field(default_factory=list)
    balance_change: BalanceChange | None = field(default_factory=BalanceChange)
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    failure: NosanaError | None = None

    def warn(self, sentences: Sequence[str]) -> None:
        self.warnings += [sentence for sentence in sentences if sentence not in self.warnings]


@dataclass(frozen=True)
class _Look:
    """One look at a job while waiting. `ready`: every service answers."""

    job: ObservedJob | None
    verdict: Verdict
    ready: bool = False


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
    ) -> None:
        """`learn` is told the secrets in definitions that are read, so that whoever prints can mask them."""
        self._network = network
        self._owner = str(wallet.pubkey())
        self._rpc = rpc
        self._api = api
        self._node_api = node_api
        self._clock = clock
        self._observer = Observer(rpc, ipfs, network, wallet, clock, cache or Cache.none())
        self._applier = Applier(rpc, ipfs, sender, network, wallet, clock)
        self._reader = Reader(ipfs, network, learn)

    # --- nosana_job ---------------------------------------------------------------------------------------------------

    async def present(self, declaration: Declaration, *, wait: Wait, dry_run: bool) -> Outcome:
        """Makes the declared job exist exactly once. With `dry_run` the plan is made and not applied."""
        desired = Desired(
            declaration.name,
            declaration.document,
            cid_of(encode_document(declaration.document)),
            "" if isinstance(declaration.market, Wish) else await self._api.resolve_market(declaration.market),
            declaration.timeout_seconds,
            declaration.on_change,
            declaration.rerun,
            declaration.node,
        )

        async def once(outcome: Outcome) -> Outcome:
            return await self._present_once(declaration, desired, outcome, wait=wait, dry_run=dry_run)

        def lost_a_race(_error: NosanaError) -> None:
            # Somebody else has just posted: theirs is the new run that rerun asks for.
            nonlocal desired
            desired = replace(desired, rerun="never")

        return await self._until_it_stands_still(once, lost_a_race)

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

    async def _until_it_stands_still(
        self, once: Callable[[Outcome], Awaitable[Outcome]], lost_a_race: Callable[[NosanaError], None] | None = None
    ) -> Outcome:
        """Looks, plans and acts; looks again when the chain moved on in between and nothing was done yet."""
        for race in range(1, _RACES + 1):
            outcome = Outcome()
            try:
                return await once(outcome)
            except (Moved, ProgramError) as error:
                moved = isinstance(error, Moved) or error.name in MOVED_ON
                if not moved or outcome.actions or race == _RACES:
                    raise
                if lost_a_race is not None and (isinstance(error, Moved) or error.name == "AccountAlreadyInUse"):
                    lost_a_race(error)
        return outcome

    async def _present_once(self, declaration: Declaration, desired: Desired, outcome: Outcome, *, wait: Wait, dry_run: bool) -> Outcome:
        seen = await self._observer.by_name(desired.name, market=desired.market or None)
        if isinstance(declaration.market, Wish):
            desired, seen = await self._granted(declaration.market, desired, seen)
        market = seen.market
        if market is None:
            await check_network(self._rpc, self._network, knows_program=seen.knows_program)
            raise NotFound(f"There is no market {declaration.market} on {self._network.name} (no account at {desired.market}).")
        current = await self._current(seen, desired)
        plan = plan_present(desired, current, market_timeout_seconds=market.job_timeout_seconds)
        prepared: list[Prepared] = []
        if plan.posts is not None or not seen.active:
            # The authoritative read before money is spent, and beside it what the posting would cost if that read changes nothing.
            drafts = self._drafts(plan, desired, seen, seen.expected)
            completed, prepared, _checked = await asyncio.gather(
                self._observer.complete(seen, cid=desired.cid),
                self._prepare(drafts),
                check_network(self._rpc, self._network, knows_program=seen.knows_program) if plan.posts else _nothing(),
            )
            seen = replace(completed, market=market)
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
            raise ChangeRefused(plan.refusal)
        self._check_declared(plan, desired, market)
        fee = self._check_money(plan, declaration, seen, prepared)
        generation = seen.generation or 0
        address = seen.identity.address(generation) if plan.posts is not None else current.job.address if current else ""
        document = desired.document if plan.posts is not None or current is None or current.definition is None else current.definition
        if dry_run or not plan.changed:
            outcome.job = self._foretold(plan, desired, seen, current, address, fee)
        if dry_run:
            return outcome
        known = None if plan.posts is not None or current is None else current.job
        if plan.changed:
            await self._apply(prepared, document if plan.posts else None, outcome, address, desired.name)
            if outcome.failure is not None:
                return outcome

        async def again() -> tuple[ObservedJob | None, int]:
            nonlocal known
            job, now = await (self._observer.refresh(known) if known else self._observer.posted(seen.identity, generation, desired.market))
            known = job or known
            return job, now

        first = None if plan.changed or current is None else _Look(current.job, current.verdict)
        fee = _fee_of(outcome, plan, market, current)
        await self._await(again, address, desired.name, document, wait, outcome, first=first, fee=fee)
        return outcome

    async def _absent_once(self, name: str, purge: bool, outcome: Outcome, *, dry_run: bool) -> Outcome:
        seen = await self._observer.by_name(name)
        active = [job for job in seen.jobs if job.active]
        drafts = (
            self._removal_drafts(plan_absent(name, Current(active[0], None, _UNJUDGED)), seen) if len(active) == 1 and not purge else []
        )
        completed, prepared = await asyncio.gather(self._observer.complete(seen, past=False), self._prepare(drafts))
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
        if dry_run or not plan.changed:
            return outcome
        if not prepared:
            prepared = await self._prepare(self._applier.drafts(plan.actions, token_account_missing=missing))
        for each in prepared:
            if each.error is not None:
                raise each.error
        await self._apply(prepared, None, outcome, current.job.address if current else "", name)
        if current is not None and outcome.actions and outcome.failure is None:
            try:
                now, seconds = await self._observer.refresh(current.job)
            except NosanaError as error:  # what was done is not lost for it
                outcome.failure, outcome.job = error, {"address": current.job.address, "name": name}
                return outcome
            if now is not None:
                judged = await self._reader.judged(now, current.definition, seconds)
                outcome.job = self._reader.describe(now, name, current.definition, judged.verdict)
            elif outcome.job is not None:
                # A job that was over stays what it was when its account is closed.
                outcome.job |= _gone(current.job) if current.job.active else {"chain_state": "closed"}
        return outcome

    async def _apply(
        self, prepared: Sequence[Prepared], document: dict[str, Any] | None, outcome: Outcome, address: str, name: str
    ) -> None:
        """Sends what was drafted. What was done stands in the outcome, whatever happens afterwards."""
        outcome.changed = False
        for each in prepared:
            try:
                receipt = await self._applier.carry_out(each, document=document)
            except NosanaError as error:
                if not outcome.actions and (isinstance(error, Moved) or (isinstance(error, ProgramError) and error.name in MOVED_ON)):
                    raise
                outcome.failure = error
                if address and outcome.job is None:
                    outcome.job = {"address": address, "name": name}
                return
            outcome.changed = True
            outcome.actions += receipt.done
            outcome.warn(receipt.warnings)
            if outcome.balance_change is not None:
                outcome.balance_change = None if receipt.change is None else outcome.balance_change + receipt.change

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

    def _check_declared(self, plan: Plan, desired: Desired, market: jobs_program.Market) -> None:
        post = plan.posts
        if post is None:
            return
        if post.timeout_seconds <= 0:
            raise InvalidInput(f"timeout is {post.timeout_seconds} s, and must be at least 1 s.")
        if post.node is not None and not market.queues_node(post.node):
            raise InvalidInput(f"The host {post.node} does not wait in the market {desired.market}, so no job can be assigned to it.")

    def _check_money(self, plan: Plan, declaration: Declaration, seen: Observation, prepared: Sequence[Prepared]) -> int | None:
        """Raises before anything is spent; returns the network fee in NOS base units, None while the node does not tell."""
        action = next((action for action in plan.actions if isinstance(action, (Post, Extend))), None)
        if action is None or seen.market is None or not prepared:
            return None
        asked = prepared[0]
        price = seen.market.job_price if isinstance(action, Post) else action.job.account.price
        before = 0 if isinstance(action, Post) else action.job.account.timeout_seconds
        deposit = jobs_program.deposit(price, action.timeout_seconds - before)
        fee = asked.network_fee(jobs_program.token_account(self._owner, self._network.nos_mint), deposit)
        budgeted = fee if fee is not None else jobs_program.network_fee(deposit, BUDGETED_FEE_FRACTION)
        total = jobs_program.deposit(price, action.timeout_seconds) + budgeted
        if declaration.max_cost_base_units is not None and total > declaration.max_cost_base_units:
            raise CostLimit(
                f"The job {declaration.name} would cost up to {nos(total)} NOS for {action.timeout_seconds} s, and max_cost is "
                f"{nos(declaration.max_cost_base_units)} NOS; nothing was paid.",
                cost_base_units=total,
                max_cost_base_units=declaration.max_cost_base_units,
            )
        wallet_nos = (seen.nos_base_units or 0) + sum(self._refund_now(each.job, seen) for each in plan.actions if isinstance(each, Remove))
        lamports = asked.quote.fee_lamports if asked.quote else TRANSACTION_FEE_BUDGET_LAMPORTS
        # What simulation finds too little although the deposit is there is short of the network fee.
        fees = [fee or 0, *([budgeted] if isinstance(asked.error, InsufficientFunds) else [])]
        for network_fee in fees:
            check_funds(
                Need(deposit + network_fee, self._rent(action, seen), lamports),
                nos_base_units=wallet_nos,
                lamports=seen.lamports,
                wallet=self._owner,
                what="extend the job" if isinstance(action, Extend) else "post the job",
            )
        if asked.error is not None:
            raise asked.error
        return fee

    def _rent(self, action: Post | Extend, seen: Observation) -> int:
        if isinstance(action, Extend) or seen.market is None:
            return 0
        runs_at_once = action.node is not None or seen.market.queue_type == jobs_program.QUEUE_OF_NODES
        sizes = [_JOB_BYTES, *([_RUN_BYTES] if runs_at_once else []), *([_TOKEN_ACCOUNT_BYTES] if seen.nos_base_units is None else [])]
        return sum(seen.rent_lamports(size) for size in sizes)

    def _refund_now(self, job: ObservedJob, seen: Observation) -> int:
        account = job.account
        started = job.run.time_start if job.run is not None else seen.now_seconds
        return jobs_program.refund(account.price, started, max(started, seen.now_seconds), account.timeout_seconds)

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

    # --- waiting ------------------------------------------------------------------------------------------------------

    async def _await(
        self,
        again: Callable[[], Awaitable[tuple[ObservedJob | None, int]]],
        address: str,
        name: str,
        document: dict[str, Any],
        wait: Wait,
        outcome: Outcome,
        *,
        first: _Look | None,
        fee: int | None,
    ) -> None:
        """Looks until the goal is reached, can no longer be reached, or time is up. `first` is what was seen already."""

        async def look() -> _Look:
            nonlocal first
            if first is not None and wait.goal != "ready":
                seen, first = first, None
                return seen
            job, now = await again()
            if job is None:
                return _Look(None, Verdict("cancelled", "removed", f"The job {address} was removed while it was waited for."))
            verdict = (await self._reader.judged(job, document, now)).verdict
            return _Look(job, verdict, wait.goal == "ready" and verdict.status == "running" and await self._all_ready(job, document))

        try:
            seen, progress = await wait_until(
                look,
                lambda look_now: _progress(wait.goal, look_now),
                clock=self._clock,
                timeout_seconds=0 if wait.goal == "posted" else wait.timeout_seconds,
                sleep_seconds=wait.sleep_seconds,
            )
        except NosanaError as error:
            outcome.failure = error
            outcome.job = outcome.job or {"address": address, "name": name}
            return
        if seen.job is not None:
            outcome.job = self._reader.describe(seen.job, name, document, seen.verdict, fee=fee)
        if progress == "impossible":
            outcome.failure = await self._job_failed(name, address, wait.goal, seen)
        elif progress == "waiting":
            outcome.failure = WaitTimeout(
                f"The job {name} ({address}) is {seen.verdict.status}, not {wait.goal}, after {wait.timeout_seconds:g} s; "
                "it goes on and costs until it ends, so raise wait_timeout or remove it with state=absent."
            )

    async def _job_failed(self, name: str, address: str, goal: WaitFor, seen: _Look) -> JobFailed:
        """The failure of a job that was waited for: what happened, the end of its log, and where the whole result is."""
        verdict = seen.verdict
        result = await self._reader.result(seen.job) if seen.job is not None else None
        link = result_url(seen.job.result_cid, self._network) if seen.job is not None else None
        tail = [line.text for line in log_tail(result)]
        last = f" Its last line is: {tail[-1][:200]}" if tail else ""
        return JobFailed(
            f"The job {name} ({address}) did not get to {goal}: {verdict.sentence}{last}",
            reason=verdict.reason,
            op=verdict.op,
            exit_code=verdict.exit_code,
            log_tail=tail,
            result_url=link,
        )

    async def _all_ready(self, job: ObservedJob, document: dict[str, Any]) -> bool:
        described = self._reader.describe(job, None, document, Verdict("running", None, ""))
        answers = await asyncio.gather(*(self._node_api.ready(service["url"]) for service in described["services"] or []))
        return all(answers)

    # --- the market ---------------------------------------------------------------------------------------------------

    async def _granted(self, wish: Wish, desired: Desired, seen: Observation) -> tuple[Desired, Observation]:
        """The market that a wish comes to: that of the job that waits or runs while it fits, whatever prices do; else the cheapest."""
        listings = await self._api.listings()
        if len(seen.active) == 1:
            address = seen.active[0].account.market
            listing = next((entry for entry in listings if entry.address == address), None)
            if listing is None or fits(listing, replace(wish, max_price=None)):
                markets = await read_markets(self._rpc, self._network, [address])
                return replace(desired, market=address), replace(seen, market=markets.get(address))
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
                f"{len(active)} active jobs have the name {seen.identity.name}: {', '.join(addresses)}; remove all but one, "
                "each with state=absent and its address as id.",
                addresses=addresses,
            )
        job = active[0] if active else seen.latest
        if job is None:
            return None
        if desired is not None and job.definition_cid == desired.cid:
            definition: dict[str, Any] | None = desired.document
        elif desired is not None:
            definition = await self._reader.definition(job)
        else:
            definition = await self._reader.definition_if_readable(job)
        current = await self._reader.judged(job, definition, seen.now_seconds)
        if current.verdict.status != "cancelled":
            return current
        # Ended by its owner, and no host has said anything: the chain alone says so. With a result it is only the host's word.
        removed = job.result_cid is None or (complete and await self._observer.was_ended(job))
        return replace(current, removed=removed)

    # --- describing ---------------------------------------------------------------------------------------------------

    def _foretold(
        self, plan: Plan, desired: Desired, seen: Observation, current: Current | None, address: str, fee: int | None
    ) -> dict[str, Any] | None:
        """The job as it will be when the plan is applied; as it is when there is nothing to do."""
        if plan.posts is not None and seen.market is not None:
            known = Cost(fee, seen.rent_lamports(_JOB_BYTES))
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


async def _nothing() -> None:
    return None


def _fee_of(outcome: Outcome, plan: Plan, market: jobs_program.Market, current: Current | None) -> int | None:
    """The network fee that a posting or extension really took, from what the ledger shows."""
    for done in outcome.actions:
        if done.nos_base_units is None:
            continue
        if done.kind == "post" and plan.posts is not None:
            return -done.nos_base_units - jobs_program.deposit(market.job_price, plan.posts.timeout_seconds)
        extend = next((action for action in plan.actions if isinstance(action, Extend)), None)
        if done.kind == "extend" and extend is not None and current is not None:
            account = extend.job.account
            return -done.nos_base_units - jobs_program.deposit(account.price, extend.timeout_seconds - account.timeout_seconds)
    return None


def _progress(goal: WaitFor, look: _Look) -> Progress:
    status = look.verdict.status
    if goal == "posted":
        return "reached"
    if status == "failed" and look.verdict.reason == "result_unavailable":
        return "waiting"  # the host has posted its result and the gateway does not have it yet
    if status in ("failed", "cancelled"):
        return "impossible"
    if goal == "completed":
        return "reached" if status == "completed" else "waiting"
    if goal == "ready":
        return "reached" if look.ready else "impossible" if status == "completed" else "waiting"
    return "reached" if status in ("running", "completed") else "waiting"


def _gone(job: ObservedJob) -> dict[str, Any]:
    """What changes in the description of a job whose account was closed: the deposit is back in full."""
    account = job.account
    return {
        "status": "cancelled",
        "reason": "removed",
        "message": "The job was removed; its deposit and its rent came home.",
        "chain_state": "gone",
        "cost": cost(account.price, account.timeout_seconds, 0),
    }
