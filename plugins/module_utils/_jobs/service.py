"""The job service: what nosana_job and nosana_job_info do, without knowing Ansible."""
# Copyright (c) 2026, The nosana.compute contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection and may change without notice.

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from .._clients import program as jobs_program
from .._clients.errors import (
    AmbiguousName,
    ChangeRefused,
    InvalidInput,
    JobFailed,
    NosanaError,
    NotFound,
    ProgramError,
    WaitTimeout,
    WrongNetwork,
)
from .._clients.ipfs import cid_of, encode_document
from .._clients.networks import NETWORKS
from .apply import Applier, Done
from .definition import exposes_port, secrets
from .money import TRANSACTION_FEE_BUDGET_LAMPORTS, Need, check_funds
from .observe import Observation, ObservedJob, Observer, name_of
from .plan import Current, Desired, Extend, OnChange, Plan, Remove, plan_absent, plan_present
from .report import cost, describe, predict
from .verdict import Verdict, judge, log_lines
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
Include = Literal["definition", "result", "logs", "cost"]

_JOB_BYTES, _RUN_BYTES, _TOKEN_ACCOUNT_BYTES = 240, 120, 165
_NODE_QUEUE = 1
_RACES = 3


@dataclass(frozen=True)
class Declaration:
    """What the user asked for, checked, with the market still as a slug or an address."""

    name: str
    document: dict[str, Any]
    market: str
    timeout_seconds: int | None
    on_change: OnChange


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
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    failure: NosanaError | None = None


@dataclass(frozen=True)
class _Look:
    """One look at a job while waiting."""

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
        learn: Callable[[list[str]], None] | None = None,
    ) -> None:
        self._network = network
        self._owner = str(wallet.pubkey())
        self._rpc = rpc
        self._ipfs = ipfs
        self._api = api
        self._node_api = node_api
        self._clock = clock
        self._learn = learn
        self._observer = Observer(rpc, ipfs, network, wallet)
        self._applier = Applier(rpc, ipfs, sender, self._observer, network, wallet)

    # --- nosana_job ---------------------------------------------------------------------------------------------------

    async def present(self, declaration: Declaration, *, wait: Wait, dry_run: bool) -> Outcome:
        """Makes the declared job exist exactly once. With `dry_run` the plan is made and not applied."""
        content = encode_document(declaration.document)
        desired = Desired(
            declaration.name,
            declaration.document,
            cid_of(content),
            await self._api.resolve_market(declaration.market),
            declaration.timeout_seconds,
            declaration.on_change,
        )
        outcome = Outcome()
        for race in range(1, _RACES + 1):
            observation = await self._observer.by_name(desired.name, market=desired.market, cid=desired.cid)
            outcome.warnings = list(observation.warnings)
            current = await self._current(observation, desired)
            market = observation.market or await self._no_such_market(declaration.market, desired.market)
            plan = plan_present(desired, current, market_timeout_seconds=market.job_timeout_seconds)
            try:
                return await self._carry_out(plan, desired, observation, current, market, outcome, wait=wait, dry_run=dry_run)
            except ProgramError as error:
                # Somebody else posted the same generation first; the chain let only one of us. Look again and take theirs.
                if error.name != "AccountAlreadyInUse" or race == _RACES or outcome.actions:
                    raise
        return outcome

    async def absent(self, name: str, *, dry_run: bool) -> Outcome:
        """Makes no job of the name wait or run."""
        observation = await self._observer.by_name(name)
        current = await self._current(observation, None)
        plan = plan_absent(name, current)
        outcome = Outcome(plan.changed, before=plan.before, after=plan.after, warnings=[*observation.warnings, *plan.warnings])
        if current is not None:
            outcome.job = self._describe(current.job, name, current.definition, current.verdict)
        if dry_run or not plan.changed:
            return outcome
        await self._apply(plan, None, observation, 0, outcome)
        if current is not None:
            now = await self._observer.refresh(current.job)
            if now is not None:
                outcome.job = self._describe(now, name, current.definition, await self._verdict(now, current.definition))
            elif outcome.job is not None and outcome.failure is None:
                outcome.job |= _gone(current.job)
        return outcome

    async def _carry_out(
        self,
        plan: Plan,
        desired: Desired,
        observation: Observation,
        current: Current | None,
        market: jobs_program.Market,
        outcome: Outcome,
        *,
        wait: Wait,
        dry_run: bool,
    ) -> Outcome:
        outcome.changed, outcome.before, outcome.after = plan.changed, plan.before, plan.after
        outcome.warnings += plan.warnings
        if plan.refusal is not None:
            raise ChangeRefused(plan.refusal)
        generation = 0
        if plan.posts is not None:
            generation = await self._observer.next_generation(observation.identity, observation.jobs)
        await self._check_affordable(plan, market)
        if dry_run:
            outcome.job = self._predicted(plan, desired, observation, current, market, generation)
            return outcome
        await self._apply(plan, desired, observation, generation, outcome)
        address = observation.identity.address(generation) if plan.posts is not None else current.job.address if current else None
        if address is None or outcome.failure is not None:
            return outcome
        document = desired.document if plan.changed or current is None or current.definition is None else current.definition
        await self._await(address, desired.name, document, wait, outcome)
        return outcome

    async def _apply(self, plan: Plan, desired: Desired | None, observation: Observation, generation: int, outcome: Outcome) -> None:
        outcome.changed = False
        for action in plan.actions:
            try:
                done = await self._applier.apply(action, desired, observation.identity, generation)
            except NosanaError as error:
                if isinstance(error, ProgramError) and error.name == "AccountAlreadyInUse" and not outcome.actions:
                    raise
                outcome.failure = error
                return
            if done is not None:
                outcome.actions.append(done)
                outcome.changed = True

    # --- waiting ------------------------------------------------------------------------------------------------------

    async def _await(self, address: str, name: str, document: dict[str, Any], wait: Wait, outcome: Outcome) -> None:
        async def look() -> _Look:
            job = await self._observer.by_address(address)
            if job is None:
                return _Look(None, Verdict("cancelled", "removed", f"The job {address} was removed while it was waited for."))
            verdict = await self._verdict(job, document)
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
            outcome.job = {"address": address, "name": name}
            return
        if seen.job is not None:
            outcome.job = self._describe(seen.job, name, document, seen.verdict)
        if progress == "impossible":
            outcome.failure = JobFailed(
                f"The job {name} ({address}) did not get to {wait.goal}: {seen.verdict.sentence}", reason=seen.verdict.reason
            )
        elif progress == "waiting":
            outcome.failure = WaitTimeout(
                f"The job {name} ({address}) is {seen.verdict.status}, not {wait.goal}, after {wait.timeout_seconds:g} s; "
                "it goes on and costs until it ends, so raise wait_timeout or remove it with state=absent."
            )

    async def _all_ready(self, job: ObservedJob, document: dict[str, Any]) -> bool:
        described = self._describe(job, None, document, Verdict("running", None, ""))
        answers = await asyncio.gather(*(self._node_api.ready(service["url"]) for service in described["services"] or []))
        return all(answers)

    # --- nosana_job_info ----------------------------------------------------------------------------------------------

    async def info(
        self, *, name: str | None, address: str | None, statuses: Sequence[str], include: Sequence[Include]
    ) -> tuple[list[dict[str, Any]], list[str]]:
        """The jobs that match, as plain values, and warnings. No match is an empty list, never an error."""
        warnings: list[str] = []
        if name is not None:
            observation = await self._observer.by_name(name)
            jobs, warnings = list(observation.jobs), list(observation.warnings)
        elif address is not None:
            found = await self._observer.by_address(address)
            jobs = [found] if found is not None else []
        else:
            jobs = await self._observer.owned()
        gate = asyncio.Semaphore(8)

        async def entry(job: ObservedJob) -> dict[str, Any]:
            async with gate:
                return await self._info_entry(job, name, include, warnings)

        entries = await asyncio.gather(*(entry(job) for job in jobs if address is None or job.address == address))
        return [found for found in entries if not statuses or found["status"] in statuses], warnings

    async def _info_entry(self, job: ObservedJob, name: str | None, include: Sequence[Include], warnings: list[str]) -> dict[str, Any]:
        definition = await self._definition_if_readable(job)
        if definition is None:
            warnings.append(f"The definition {job.definition_cid} of the job {job.address} could not be read from IPFS.")
        result = await self._result(job)
        verdict = self._judge(job, definition, result)
        entry = self._describe(job, name_of(definition) or name, definition, verdict)
        if "cost" not in include:
            del entry["cost"]
        if "definition" in include:
            entry["job_definition"] = definition
        if "result" in include:
            entry["result"] = result
        if "logs" in include:
            entry["logs"] = (
                [{"op": line.op, "type": line.type, "text": line.text} for line in log_lines(result)] if result is not None else []
            )
        return entry

    # --- reading ------------------------------------------------------------------------------------------------------

    async def _current(self, observation: Observation, desired: Desired | None) -> Current | None:
        """The one job that counts: the active one, else the newest that is over. More than one active is an error, never a guess.

        Its definition is read unless it is the declared one. It must be readable to be compared; to remove a job it need not be.
        """
        active = observation.active
        if len(active) > 1:
            addresses = [job.address for job in active]
            raise AmbiguousName(
                f"{len(active)} active jobs have the name {observation.identity.name}: {', '.join(addresses)}; remove all but one by address.",
                addresses=addresses,
            )
        job = active[0] if active else observation.latest
        if job is None:
            return None
        if desired is not None and job.definition_cid == desired.cid:
            definition: dict[str, Any] | None = desired.document
        elif desired is not None:
            definition = await self._definition(job)
        else:
            definition = await self._definition_if_readable(job)
        return Current(job, definition, await self._verdict(job, definition))

    async def _definition(self, job: ObservedJob) -> dict[str, Any]:
        document = await self._ipfs.fetch_json(job.definition_cid)
        if self._learn is not None:
            self._learn(secrets(document))
        return document if isinstance(document, dict) else {}

    async def _definition_if_readable(self, job: ObservedJob) -> dict[str, Any] | None:
        try:
            return await self._definition(job)
        except NosanaError:
            return None

    async def _result(self, job: ObservedJob) -> Any | None:
        """The host's result document; None when there is none yet or it cannot be read."""
        if job.result_cid is None:
            return None
        try:
            return await self._ipfs.fetch_json(job.result_cid)
        except NosanaError:
            return None

    async def _verdict(self, job: ObservedJob, definition: dict[str, Any] | None) -> Verdict:
        return self._judge(job, definition, await self._result(job))

    def _judge(self, job: ObservedJob, definition: dict[str, Any] | None, result: Any | None) -> Verdict:
        return judge(
            job_state=job.account.state,
            has_run=job.run is not None,
            has_result=job.result_cid is not None,
            result=result,
            exposes_port=definition is not None and exposes_port(definition),
        )

    async def _no_such_market(self, declared: str, address: str) -> jobs_program.Market:
        await self._check_network()
        raise NotFound(f"There is no market {declared} on {self._network.name} (no account at {address}); check the option market.")

    async def _check_network(self) -> None:
        """Before anything is spent: the chain must be the one that the user means, localnet included."""
        genesis = await self._rpc.get_genesis_hash()
        known = {network.genesis_hash: network.name for network in NETWORKS.values() if network.genesis_hash is not None}
        if known.get(genesis, self._network.name) != self._network.name:
            raise WrongNetwork(f"The RPC node serves {known[genesis]} and network is {self._network.name}; check network and rpc_url.")
        if await self._rpc.get_account(self._network.jobs_program) is None:
            raise WrongNetwork(
                f"The RPC node does not know the jobs program {self._network.jobs_program} of {self._network.name}: it serves another network; "
                "check network and rpc_url."
            )

    # --- money --------------------------------------------------------------------------------------------------------

    async def _check_affordable(self, plan: Plan, market: jobs_program.Market) -> None:
        need_nos, refund, size, what = 0, 0, 0, ""
        for action in plan.actions:
            if isinstance(action, Extend):
                account = action.job.account
                need_nos += jobs_program.deposit(account.price, action.timeout_seconds - account.timeout_seconds)
                what = "extend the job"
            elif isinstance(action, Remove):
                refund += self._refund_now(action.job)
            else:
                if action.timeout_seconds <= 0:
                    raise InvalidInput(f"timeout is {action.timeout_seconds} s, and must be at least 1 s.")
                await self._check_network()
                need_nos += jobs_program.deposit(market.job_price, action.timeout_seconds)
                size, what = 1, "post the job"
        if not what:
            return
        token_account = jobs_program.token_account(self._owner, self._network.nos_mint)
        lamports, base_units = await asyncio.gather(self._rpc.get_balance(self._owner), self._rpc.get_token_balance(token_account))
        rent = 0
        if size:
            sizes = [
                _JOB_BYTES,
                *([_RUN_BYTES] if market.queue_type == _NODE_QUEUE else []),
                *([_TOKEN_ACCOUNT_BYTES] if base_units is None else []),
            ]
            rent = sum(await asyncio.gather(*(self._rpc.get_minimum_balance_for_rent_exemption(bytes_) for bytes_ in sizes)))
        check_funds(
            Need(need_nos, rent, TRANSACTION_FEE_BUDGET_LAMPORTS),
            nos_base_units=(base_units or 0) + refund,
            lamports=lamports,
            wallet=self._owner,
            what=what,
        )

    def _refund_now(self, job: ObservedJob) -> int:
        account = job.account
        started = job.run.time_start if job.run is not None else int(self._clock.now())
        now = max(started, int(self._clock.now()))
        return jobs_program.refund(account.price, started, now, account.timeout_seconds)

    # --- describing ---------------------------------------------------------------------------------------------------

    def _describe(self, job: ObservedJob, name: str | None, definition: dict[str, Any] | None, verdict: Verdict) -> dict[str, Any]:
        return describe(job, name=name, definition=definition, verdict=verdict, network=self._network)

    def _predicted(
        self, plan: Plan, desired: Desired, observation: Observation, current: Current | None, market: jobs_program.Market, generation: int
    ) -> dict[str, Any] | None:
        if plan.posts is not None:
            return predict(
                desired,
                address=observation.identity.address(generation),
                timeout_seconds=plan.posts.timeout_seconds,
                price=market.job_price,
                network=self._network,
            )
        if current is None:
            return None
        job = self._describe(current.job, desired.name, current.definition or desired.document, current.verdict)
        for action in plan.actions:
            if isinstance(action, Extend):
                job |= {"timeout": action.timeout_seconds, "cost": cost(current.job.account.price, action.timeout_seconds, None)}
        return job


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
