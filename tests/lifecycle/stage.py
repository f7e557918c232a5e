"""What a test of the lifecycle has at hand: wallets with money, markets, hosts, IPFS, and the collection itself."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from actors import Faucet, Host, vault_of
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from chain import Chain, until
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from ansible_collections.nosana.compute.plugins.module_utils._ansible import tasks
from ansible_collections.nosana.compute.plugins.module_utils._ansible.options import JOB_INFO_RULES, JOB_RULES, job_info_spec, job_spec
from ansible_collections.nosana.compute.plugins.module_utils._ansible.session import Session
from ansible_collections.nosana.compute.plugins.module_utils._ansible.tasks import TaskResult, job_info_task, job_task
from ansible_collections.nosana.compute.plugins.module_utils._clients.clock import Clock
from ansible_collections.nosana.compute.plugins.module_utils._jobs.progress import Tell
from nosana_localnet.ledger import SLOT_SECONDS, token_address
from nosana_localnet.server import DOMAIN
from nosana_localnet.thread import ThreadNetwork

LAMPORTS_PER_SOL, BASE_UNITS_PER_NOS = 10**9, 10**6
PRICE, TIMEOUT, EXPIRATION = 43, 600, 86_400
LOOK_SECONDS = 0.2
# A task sleeps just so long only until nothing older can land any more, unless a test gives it such a wait_sleep.
LONG_SECONDS = 5.0
SETTLED_SLOTS, PLAINLY_SETTLED_SLOTS = 172, 341


@dataclass(frozen=True)
class Money:
    """What somebody has: SOL in lamports, NOS in base units."""

    lamports: int
    nos: int

    def __sub__(self, other: Money) -> Money:
        return Money(self.lamports - other.lamports, self.nos - other.nos)


@dataclass
class Poster:
    """A wallet, and the collection that works with it: job() is the task nosana_job, info() is nosana_job_info."""

    stage: Stage
    market: Pubkey
    key: Keypair = field(default_factory=Keypair)

    @property
    def address(self) -> Pubkey:
        return self.key.pubkey()

    @property
    def money(self) -> Money:
        return self.stage.money(self.address)

    def job(self, **options: Any) -> TaskResult:
        """The task nosana_job, run to its end."""
        return asyncio.run(self.job_in_loop(**options))

    async def job_in_loop(
        self, *, check_mode: bool = False, tell: Tell | None = None, session: Session | None = None, **options: Any
    ) -> TaskResult:
        """The same for those who run more than one at a time."""
        wanted = {"name": "job", "wait_sleep": LOOK_SECONDS}
        if options.get("state") != "absent":
            wanted |= {"market": str(self.market), **({} if "job_definition" in options else {"image": "nginx"})}
        parameters = self._checked(job_spec(), JOB_RULES, wanted | options)
        clock = Patience(self.stage, self.stage.clock or tasks.SystemClock())
        return await job_task(parameters, check_mode=check_mode, clock=clock, tell=tell, session=session)

    def info(self, **options: Any) -> list[dict[str, Any]]:
        """The jobs that nosana_job_info finds."""
        result = asyncio.run(job_info_task(self._checked(job_info_spec(), JOB_INFO_RULES, options)))
        assert result.failure is None
        jobs: list[dict[str, Any]] = result.values["jobs"]
        return jobs

    def post(self, **options: Any) -> Pubkey:
        """Posts a job that is not there yet, and returns its address."""
        result = self.job(**options)
        assert (result.failure, result.values["changed"], kinds(result)) == (None, True, ["post"])
        return Pubkey.from_string(result.values["id"])

    def _checked(self, spec: dict[str, Any], rules: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
        network = self.stage.network
        connection = {
            "network": "localnet",
            "wallet": json.dumps(list(bytes(self.key))),
            "rpc_url": self.stage.chain.url,
            "ipfs_api_url": network.url,
            "ipfs_gateway_url": f"{network.url}/ipfs/",
            "api_url": network.url,
            "node_domain": f"http://{DOMAIN}:{network.network.port}",
        }
        checked = ArgumentSpecValidator(spec, **rules).validate(connection | options)
        assert not checked.error_messages
        parameters: dict[str, Any] = checked.validated_parameters
        return parameters


@dataclass
class Patience:
    """The clock of a task; on a local network a long sleep is time that passes there."""

    stage: Stage
    real: Clock

    def now(self) -> float:
        return self.real.now()

    def monotonic(self) -> float:
        return self.real.monotonic()

    async def sleep(self, seconds: float) -> None:
        if seconds == LONG_SECONDS and self.stage.alone:
            await asyncio.to_thread(self.stage.network.warp, SETTLED_SLOTS * SLOT_SECONDS)
        else:
            await self.real.sleep(seconds)

    def random(self) -> float:
        return self.real.random()


@dataclass
class Stage:
    """One chain, one faucet, and a local network for everything that is not on the chain."""

    chain: Chain
    faucet: Faucet
    network: ThreadNetwork
    host_keys: Iterator[Keypair]
    clock: Clock | None = None
    """Of the tasks; None is real time."""

    @property
    def alone(self) -> bool:
        """Whether the chain is the local network's, whose clock and accounts obey."""
        return self.chain.url == self.network.url

    def settle(self) -> None:
        """Lets so much time pass that nothing can land any more which was signed before; on a local network, that this is plain at a glance."""
        if self.alone:
            self.network.warp(PLAINLY_SETTLED_SLOTS * SLOT_SECONDS)
            return
        last = self.chain.slot() + SETTLED_SLOTS
        until(lambda: self.chain.slot() > last, seconds=150)

    def poster(self, market: Pubkey | None = None, *, lamports: int = LAMPORTS_PER_SOL, nos: int | None = BASE_UNITS_PER_NOS) -> Poster:
        """A wallet with money, in a market of its own unless one is named."""
        poster = Poster(self, market or self.market())
        self.faucet.fund(poster.address, lamports=lamports, nos=nos)
        return poster

    def market(self, *, price: int = PRICE, timeout: int = TIMEOUT, expiration: int = EXPIRATION) -> Pubkey:
        """A new market. `price` in base units a second, the others in seconds."""
        return self.faucet.open_market(price=price, timeout=timeout, expiration=expiration)

    def host(self, market: Pubkey, *, token_account: bool = True) -> Host:
        """A host that has not done anything yet."""
        key = next(self.host_keys)
        self.faucet.fund(key.pubkey(), lamports=LAMPORTS_PER_SOL // 10, nos=0 if token_account else None)
        return Host(self.chain, key, market, token_address(key.pubkey()) if token_account else vault_of(market))

    def money(self, owner: Pubkey) -> Money:
        """What somebody has on the chain."""
        return Money(self.chain.lamports(owner), self.chain.nos(owner))

    def vault(self, market: Pubkey) -> int:
        """The deposits in a market, in base units."""
        return self.chain.tokens(vault_of(market))

    def pin(self, document: dict[str, Any]) -> str:
        """Puts a document on IPFS, and returns its address."""
        return self.network.call(lambda network: network.store.add_json(document))

    def fees(self, result: TaskResult) -> int:
        """What the transactions of a task have cost, in lamports."""
        return sum(map(self.chain.fee, {action["signature"] for action in result.values["actions"]}))


def told(*results: TaskResult) -> Money:
    """What tasks say that they did to the wallet."""
    changes = [result.values["balance_change"] for result in results]
    return Money(sum(change["lamports"] for change in changes), sum(change["nos_base_units"] for change in changes))


def kinds(result: TaskResult) -> list[str]:
    """What a task did, in its own words."""
    return [action["action"] for action in result.values["actions"]]
