"""The life of one host on chain: waits in a market, takes a job, runs it, publishes the result, is paid, waits again."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from solders.keypair import Keypair
from solders.pubkey import Pubkey

from .. import idl
from ..genesis import REWARDS_PROGRAM, MarketSpec, begin_stake, derive
from ..ipfs import Store, bytes_to_cid, cid_to_bytes
from ..ledger import SYSTEM_PROGRAM, TOKEN_PROGRAM, Change, Ledger, Rejected, create_token_account, token_address
from .flow import Flow
from .runner import Runner

LOOK_SECONDS: Final = 0.2
HOST_LAMPORTS: Final = 1_000_000_000
_RUN: Final = idl.discriminator("account", "RunAccount")

_log = logging.getLogger(__name__)


@dataclass
class Assignment:
    """The job that a host has at the moment, or had last."""

    job: Pubkey
    run: Pubkey
    account: dict[str, Any]
    time_start: int
    flow: Flow | None = None
    ended_by_owner: asyncio.Event = field(default_factory=asyncio.Event)
    stop_asked: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def project(self) -> Pubkey:
        project: Pubkey = self.account["project"]
        return project


class Host:
    """One host in one market. It runs one job at a time, as hosts of the network do."""

    def __init__(
        self,
        ledger: Ledger,
        store: Store,
        market: MarketSpec,
        runner: Runner,
        *,
        key: Keypair,
        domain: str,
        clock: Callable[[], float] = time.time,
    ):
        self.key = key
        self.address = key.pubkey()
        self.market = market
        self.runner = runner
        self.jobs: dict[str, Assignment] = {}
        self.current: Assignment | None = None
        self._ledger = ledger
        self._store = store
        self._domain = domain
        self._clock = clock
        self._stake = SYSTEM_PROGRAM
        self._task: asyncio.Task[None] | None = None
        self._stop_listening: Callable[[], None] | None = None

    @property
    def state(self) -> str:
        """What the host does, in the host software's words."""
        return "RUNNING" if self.current else "QUEUED"

    def start(self) -> None:
        """Gets a little SOL, a token account and a stake, and joins its market."""
        self._ledger.airdrop(self.address, HOST_LAMPORTS)
        self._ledger.execute([create_token_account(self.address, self.address, self.market.mint)], [self.key])
        self._stake = begin_stake(self._ledger, self.address, self.market.mint)
        self._stop_listening = self._ledger.subscribe(self._on_change)
        self._join()

    async def close(self) -> None:
        """Ends everything that it runs, at once; nothing is published."""
        if self._stop_listening:
            self._stop_listening()
        if self.current and self.current.flow:
            await self.current.flow.stop("stopped")
        if self._task:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    # ---- the chain

    def _on_change(self, change: Change) -> None:
        for key, account in change.accounts.items():
            if self.current and key == self.current.run and account is None:
                self.current.ended_by_owner.set()
            elif account is not None and account.owner == self.market.program and account.data[:8] == _RUN and self.current is None:
                run = idl.decode_account("RunAccount", account.data)
                if run["node"] == self.address:
                    self._take(key, run)

    def _take(self, address: Pubkey, run: dict[str, Any]) -> None:
        self.current = Assignment(run["job"], address, self._job(run["job"]), run["time"])
        self.jobs[str(run["job"])] = self.current
        self._task = asyncio.get_running_loop().create_task(self._work(self.current))

    def _job(self, address: Pubkey) -> dict[str, Any]:
        account = self._ledger.account(address)
        return idl.decode_account("JobAccount", account.data) if account is not None else {}

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
        run = Keypair()
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
            self._publish(assignment)
        except Rejected as error:
            _log.warning("host %s could not hand in the result of %s: %s", self.address, assignment.job, error.err)
        self.current = None
        try:
            self._join()
        except Rejected as error:
            _log.warning("host %s could not join %s: %s", self.address, self.market.slug, error.err)

    async def _run(self, assignment: Assignment) -> None:
        definition = await self._definition(assignment)
        variables = {
            "job": str(assignment.job),
            "host": str(self.address),
            "project": str(assignment.project),
            "frps_address": self._domain,
        }
        flow = assignment.flow = Flow(str(assignment.job), definition, runner=self.runner, clock=self._clock, variables=variables)
        running = asyncio.create_task(flow.run())
        try:
            while not running.done():
                if assignment.ended_by_owner.is_set():
                    await flow.stop("stopped")
                elif assignment.stop_asked.is_set() or self._expired(assignment):
                    await flow.stop("expired")
                await asyncio.wait([running], timeout=LOOK_SECONDS)
            await running
        except asyncio.CancelledError:
            await flow.stop("stopped")
            running.cancel()
            raise

    async def _definition(self, assignment: Assignment) -> dict[str, Any]:
        """From IPFS, as long as the job lasts; a host of the network retries as well."""
        cid = bytes_to_cid(assignment.account["ipfs_job"])
        while not (assignment.ended_by_owner.is_set() or self._expired(assignment)):
            content = self._store.get(cid)
            if content is not None:
                with contextlib.suppress(ValueError):
                    document = json.loads(content)
                    if isinstance(document, dict) and isinstance(document.get("ops"), list):
                        return document
                return {"ops": []}
            await asyncio.sleep(LOOK_SECONDS)
        return {"ops": []}

    def _expired(self, assignment: Assignment) -> bool:
        """By the job's timeout as it is now: the owner may have extended it."""
        timeout = self._job(assignment.job).get("timeout", 0)
        return self._ledger.unix_time >= assignment.time_start + int(timeout)

    def _publish(self, assignment: Assignment) -> None:
        if assignment.flow is None:
            return
        result = cid_to_bytes(self._store.add_json(assignment.flow.result(str(self.address))))
        if not assignment.ended_by_owner.is_set():
            try:
                self._finish(assignment, result)
            except Rejected:
                if not assignment.ended_by_owner.is_set() and self._ledger.account(assignment.run) is not None:
                    raise
            else:
                return
        self._execute("complete", {"job": assignment.job}, ipfs_result=result)
