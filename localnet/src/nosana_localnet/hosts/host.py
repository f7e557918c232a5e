"""The life of one host on chain: waits in a market, takes a job, runs it, publishes the result, is paid, waits again."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from solders.keypair import Keypair
from solders.pubkey import Pubkey

from .. import base58, idl
from ..faults import Fault, Faults, address_of_nothing, spoiled_result
from ..genesis import REWARDS_PROGRAM, MarketSpec, begin_stake, derive
from ..ipfs import Store, bytes_to_cid, cid_to_bytes
from ..ledger import SYSTEM_PROGRAM, TOKEN_PROGRAM, Change, Ledger, Rejected, create_token_account, token_address
from . import logistics
from .flow import PRIVATE_CHARACTERS, Flow, Surroundings
from .runner import Runner

LOOK_SECONDS: Final = 0.2
HOST_LAMPORTS: Final = 1_000_000_000
QUEUE_OF_NODES: Final = 1
_RUN: Final = idl.discriminator("account", "RunAccount")

_log = logging.getLogger(__name__)


@dataclass
class Assignment:
    """The job that a host has at the moment, or had last."""

    job: Pubkey
    run: Pubkey
    account: dict[str, Any]
    time_start: int
    flow: Flow
    ended_by_owner: asyncio.Event = field(default_factory=asyncio.Event)
    stop_asked: asyncio.Event = field(default_factory=asyncio.Event)
    shut_down: asyncio.Event = field(default_factory=asyncio.Event)
    definition_given: asyncio.Future[Any] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    result: dict[str, Any] = field(default_factory=dict)
    """The whole result of a confidential job while its owner may fetch it."""
    result_taken: asyncio.Event = field(default_factory=asyncio.Event)
    spoiled: str | None = None
    """The kind of fault that its result gets; see ``Host.spoil``."""

    @property
    def project(self) -> Pubkey:
        project: Pubkey = self.account["project"]
        return project


class Host:
    """One host in one market. It runs one job at a time, as hosts of the network do.

    ``crash``, ``shut_down``, ``leave``, ``break_down`` and ``spoil`` are what goes wrong with hosts of the real network; ``start`` brings one back.
    """

    def __init__(
        self,
        ledger: Ledger,
        store: Store,
        market: MarketSpec,
        runner: Runner,
        *,
        key: Keypair,
        domain: str,
        public_name: Callable[[str], str] | None = None,
        clock: Callable[[], float] = time.time,
        patience: logistics.Patience | None = None,
        faults: Faults | None = None,
    ):
        self.key = key
        self.address = key.pubkey()
        self.market = market
        self.runner = runner
        self.jobs: dict[str, Assignment] = {}
        self.current: Assignment | None = None
        self.alive = False
        self._ledger = ledger
        self._store = store
        self._domain = domain
        self._public_name = public_name or (lambda label: f"{label}.{domain}")
        self._clock = clock
        self._patience = patience or logistics.Patience()
        self._faults = faults
        self._spoil_next: str | None = None
        self._failing: asyncio.Task[None] | None = None
        self._look_again = False
        self._random = random.Random(bytes(key))  # names and run keys only: the same host, the same names
        self._stake = SYSTEM_PROGRAM
        self._task: asyncio.Task[None] | None = None
        self._stop_listening: Callable[[], None] | None = None

    @property
    def state(self) -> str:
        """What the host does, in the host software's words."""
        if not self.alive:
            return "OFFLINE"
        return "RUNNING" if self.current else "QUEUED"

    def start(self) -> None:
        """Gets what a host needs (a little SOL, a token account, a stake), resumes the job that is its own, or joins its market."""
        if self.alive:
            return
        if self._ledger.balance(self.address) < HOST_LAMPORTS // 10:
            self._ledger.airdrop(self.address, HOST_LAMPORTS)
        if self._ledger.account(token_address(self.address, self.market.mint)) is None:
            self._ledger.execute([create_token_account(self.address, self.address, self.market.mint)], [self.key])
        self._stake = begin_stake(self._ledger, self.address, self.market.mint)
        self.alive = True
        self._stop_listening = self._ledger.subscribe(self._on_change)
        self._resume_or_join()

    async def close(self) -> None:
        """The network ends: everything that it runs ends at once, and nothing is published."""
        await self.crash()

    # ---- what goes wrong with hosts

    async def crash(self) -> None:
        """Gone from one moment to the next: nothing is published, the run account stays, and so does its place in the queue."""
        self.alive = False
        if self._stop_listening:
            self._stop_listening()
        if self._failing is not None and self._failing is not asyncio.current_task():
            self._failing.cancel()
        if self._task:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        self.current = None

    async def shut_down(self) -> None:
        """Ends cleanly: a running job is published as failed, and the host leaves its market."""
        if self.current and self._task:
            self.current.shut_down.set()
            await asyncio.wait([self._task])
        elif self._is_queued():
            self._execute("stop", {"node": self.address})
        await self.crash()

    async def leave(self) -> None:
        """Gives the job back on chain (`quit`), as other host software does, and waits in its market again."""
        assignment = self.current
        if assignment is None:
            return
        run = self._ledger.account(assignment.run)
        await self.crash()
        if run is not None:
            payer = idl.decode_account("RunAccount", run.data)["payer"]
            self._execute("quit", {"job": assignment.job, "run": assignment.run, "payer": payer})
        self.start()

    async def break_down(self) -> None:
        """The host software fails in the middle of a job."""
        if self.current:
            await self.current.flow.fail("uncaught error in the host software")

    def spoil(self, kind: str) -> None:
        """The result of the job that it has, or of its next one, gets this fault: host-never-finish, host-not-json and the like."""
        if self.current is not None:
            self.current.spoiled = kind
        else:
            self._spoil_next = kind

    def _strike(self, fault: Fault, assignment: Assignment) -> None:
        if fault.kind in ("host-crash", "host-quit"):
            act = self.crash if fault.kind == "host-crash" else self.leave
            self._failing = asyncio.get_running_loop().create_task(self._fail_later(act, fault.number("seconds"), assignment))
        else:
            assignment.spoiled = fault.kind

    async def _fail_later(self, act: Callable[[], Awaitable[None]], seconds: float, assignment: Assignment) -> None:
        await asyncio.sleep(seconds)
        if self.current is assignment:
            await act()

    # ---- the chain

    def _on_change(self, change: Change) -> None:
        for key, account in change.accounts.items():
            if self.current and key == self.current.run and account is None:
                self.current.ended_by_owner.set()
            elif account is not None and account.owner == self.market.program and account.data[:8] == _RUN and self.current is None:
                self._take_if_mine(key, account.data)
        if change.undone or (change.signature is None and self.market.address in change.accounts):
            self._look_again = True
            asyncio.get_running_loop().call_soon(self._look_around)

    def _look_around(self) -> None:
        """The ledger has jumped: an earlier job may be this host's again, or its place in the queue be gone."""
        if not self._look_again or not self.alive or self.current is not None:
            return
        self._look_again = False
        try:
            self._resume_or_join()
        except Rejected as error:
            _log.warning("host %s could not join %s: %s", self.address, self.market.slug, error.err)

    def _resume_or_join(self) -> None:
        """Goes on with a job that is its own, or waits in its market."""
        for address, account in self._ledger.program_accounts(self.market.program):
            if account.data[:8] == _RUN and self.current is None:
                self._take_if_mine(address, account.data)
        if self.current is None and not self._is_queued():
            self._join()

    def _take_if_mine(self, address: Pubkey, data: bytes) -> None:
        run = idl.decode_account("RunAccount", data)
        if run["node"] != self.address:
            return
        account = self._job(run["job"])
        if not account:
            return
        flow = Flow(
            str(run["job"]),
            Surroundings(
                runner=self.runner,
                clock=self._clock,
                variables={
                    "job": str(run["job"]),
                    "host": str(self.address),
                    "project": str(account["project"]),
                    "frps_address": self._domain,
                },
                private_label=self._private_label,
                public_name=self._public_name,
            ),
        )
        self.current = Assignment(run["job"], address, account, run["time"], flow)
        self.jobs[str(run["job"])] = self.current
        self.current.spoiled, self._spoil_next = self._spoil_next, None
        self._task = asyncio.get_running_loop().create_task(self._work(self.current))
        fault = self._faults.decide("host", str(self.address), self.market.slug) if self._faults is not None else None
        if fault is not None:
            self._strike(fault, self.current)

    def _private_label(self) -> str:
        return base58.encode(self._random.randbytes(64))[:PRIVATE_CHARACTERS]

    def _job(self, address: Pubkey) -> dict[str, Any]:
        account = self._ledger.account(address)
        return idl.decode_account("JobAccount", account.data) if account is not None and account.owner == self.market.program else {}

    def _is_queued(self) -> bool:
        account = self._ledger.account(self.market.address)
        if account is None:
            return False
        market = idl.decode_account("MarketAccount", account.data)
        return market["queue_type"] == QUEUE_OF_NODES and self.address in market["queue"]

    def _execute(self, name: str, accounts: dict[str, Pubkey], *more: Keypair, **args: Any) -> None:
        vault = derive(self.market.program, bytes(self.market.address), bytes(self.market.mint))[0]
        known = {
            "market": self.market.address,
            "vault": vault,
            "authority": self.address,
            "payer": self.address,
            "user": token_address(self.address, self.market.mint),
            "token_program": TOKEN_PROGRAM,
            "system_program": SYSTEM_PROGRAM,
            "rewards_program": REWARDS_PROGRAM,
        }
        self._ledger.execute([idl.instruction(name, self.market.program, known | accounts, args)], [self.key, *more])

    def _join(self) -> None:
        run = Keypair.from_seed(self._random.randbytes(32))
        while self._ledger.account(run.pubkey()) is not None:
            run = Keypair.from_seed(self._random.randbytes(32))
        accounts = {
            "run": run.pubkey(),
            "stake": self._stake,
            "nft": token_address(self.address, self.market.mint),
            "metadata": SYSTEM_PROGRAM,
        }
        self._execute("work", accounts, run)

    def _finish(self, assignment: Assignment, result: bytes) -> None:
        run = self._ledger.account(assignment.run)
        payer_run = idl.decode_account("RunAccount", run.data)["payer"] if run is not None else self.address
        payer_job = assignment.account["payer"]
        accounts = {
            "job": assignment.job,
            "run": assignment.run,
            "deposit": token_address(payer_job, self.market.mint),
            "payer_run": payer_run,
            "payer_job": payer_job,
        }
        self._execute("finish", accounts, ipfs_result=result)

    # ---- the job

    async def _work(self, assignment: Assignment) -> None:
        try:
            await self._run(assignment)
        except asyncio.CancelledError:
            await assignment.flow.stop("restart")
            raise
        except Exception as error:
            _log.exception("the flow of %s failed", assignment.job)
            assignment.flow.status = "failed"
            assignment.flow.errors.append({"event": "flow", "message": f"{type(error).__name__}: {error}"})
        try:
            if assignment.spoiled == "host-never-finish":
                while not (assignment.ended_by_owner.is_set() or assignment.shut_down.is_set()):
                    await asyncio.sleep(LOOK_SECONDS)
            else:
                self._publish(assignment)
        except Rejected as error:
            _log.warning("host %s could not hand in the result of %s: %s", self.address, assignment.job, error.err)
        self.current = None
        if assignment.shut_down.is_set():
            return
        if self._look_again:
            self._look_around()
            return
        try:
            self._join()
        except Rejected as error:
            _log.warning("host %s could not join %s: %s", self.address, self.market.slug, error.err)

    async def _run(self, assignment: Assignment) -> None:
        flow = assignment.flow
        if self._expired(assignment):
            flow.blank("")
            return
        pinned = await self._pinned(assignment)
        if pinned is None:  # it never came, or no host could run it
            flow.blank("stopped" if assignment.ended_by_owner.is_set() else "")
            return
        flow.confidential = logistics.way(pinned, "send")[0] != "ipfs"
        definition = await self._given(assignment, pinned) if flow.confidential else pinned
        if definition is None:
            return
        flow.load(definition)
        running = asyncio.create_task(flow.run())
        try:
            while not running.done():
                if assignment.ended_by_owner.is_set():
                    await flow.stop("stopped")
                elif assignment.shut_down.is_set():
                    await flow.stop("shutdown")
                elif assignment.stop_asked.is_set() or self._expired(assignment):
                    await flow.stop("expired")
                await asyncio.wait([running], timeout=LOOK_SECONDS)
            await running
        except asyncio.CancelledError:
            await flow.stop("restart")
            await asyncio.wait([running])
            raise
        await self._hand_over(assignment, pinned)

    async def _pinned(self, assignment: Assignment) -> dict[str, Any] | None:
        """The document on IPFS, as long as the job lasts. A host goes on trying with one that it cannot run (nosana-facts §7)."""
        cid = bytes_to_cid(assignment.account["ipfs_job"])
        while not self._over(assignment):
            content = self._store.get(cid)
            document = logistics.parse(content) if content is not None else None
            if isinstance(document, dict) and logistics.problem_with(document) is None:
                return document
            await asyncio.sleep(LOOK_SECONDS)
        return None

    async def _given(self, assignment: Assignment, pinned: Mapping[str, Any]) -> dict[str, Any] | None:
        """The definition of a confidential job from its owner; None when there is nothing to run, and the flow says why."""
        flow = assignment.flow
        kind, endpoint = logistics.way(pinned, "send")
        flow.status = "waiting-for-job-definition"
        document: Any = None
        if kind == "api":
            try:
                document = await logistics.fetch(endpoint, str(assignment.job), self.key, self._patience)
            except logistics.Unobtainable as error:
                flow.blank("logistics-error", str(error))
                return None
        else:
            while not assignment.definition_given.done():
                if self._over(assignment):
                    flow.blank("stopped" if assignment.ended_by_owner.is_set() else "logistics-error")
                    return None
                await asyncio.wait([assignment.definition_given], timeout=LOOK_SECONDS)
            document = assignment.definition_given.result()
        problem = logistics.problem_with(document)
        if problem is not None or not isinstance(document, dict):
            flow.blank("validation-error", problem)
            return None
        flow.status = "running"
        return document

    async def _hand_over(self, assignment: Assignment, pinned: Mapping[str, Any]) -> None:
        """Gives the result of a confidential job to its owner, who has a while to ask for it."""
        flow = assignment.flow
        kind, endpoint = logistics.way(pinned, "receive")
        if kind == "ipfs" or assignment.ended_by_owner.is_set() or assignment.shut_down.is_set():
            return
        if kind == "api":
            await logistics.hand_over(endpoint, str(assignment.job), self.key, flow.result(str(self.address)), self._patience)
            return
        assignment.result = flow.result(str(self.address))
        status, flow.status = flow.status, "waiting-for-result"
        deadline = time.monotonic() + self._patience.result_window
        while not (assignment.result_taken.is_set() or assignment.ended_by_owner.is_set()) and time.monotonic() < deadline:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(assignment.result_taken.wait(), min(LOOK_SECONDS, self._patience.result_window))
        flow.status = status
        assignment.result = {}

    def _over(self, assignment: Assignment) -> bool:
        asked = (assignment.ended_by_owner, assignment.stop_asked, assignment.shut_down)
        return any(event.is_set() for event in asked) or self._expired(assignment)

    def _expired(self, assignment: Assignment) -> bool:
        """By the job's timeout as it is now: the owner may have extended it."""
        timeout = self._job(assignment.job).get("timeout", 0)
        return self._ledger.unix_time >= assignment.time_start + int(timeout)

    def _publish(self, assignment: Assignment) -> None:
        document = assignment.flow.result(str(self.address))
        if assignment.flow.confidential:
            document["opStates"] = []  # nothing of a confidential job stands on IPFS
        spoiled = spoiled_result(assignment.spoiled or "", document)
        if assignment.spoiled == "host-not-pinned":
            cid = address_of_nothing(document)
        else:
            cid = self._store.add_json(document) if spoiled is None else self._store.add(spoiled)
        result = cid_to_bytes(cid)
        if not assignment.ended_by_owner.is_set():
            try:
                self._finish(assignment, result)
            except Rejected:
                if not assignment.ended_by_owner.is_set() and self._ledger.account(assignment.run) is not None:
                    raise
            else:
                return
        self._execute("complete", {"job": assignment.job}, ipfs_result=result)
