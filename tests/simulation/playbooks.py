"""Playbooks: runs of the job service one after another, each a process of its own with its own clients, which may be killed at any moment."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from push import Push
from scheduler import Process, Scheduler, VirtualClock
from wire import Internet, Wire
from world import HOSTS, MARKETS, NAMES, VARIANTS, World, document, key_of

from ansible_collections.nosana.compute.plugins.module_utils._clients.errors import NosanaError
from ansible_collections.nosana.compute.plugins.module_utils._clients.http import Http
from ansible_collections.nosana.compute.plugins.module_utils._clients.ipfs import Ipfs
from ansible_collections.nosana.compute.plugins.module_utils._clients.networks import NETWORKS
from ansible_collections.nosana.compute.plugins.module_utils._clients.node import NodeApi
from ansible_collections.nosana.compute.plugins.module_utils._clients.pubsub import PubSub
from ansible_collections.nosana.compute.plugins.module_utils._clients.rest import Api
from ansible_collections.nosana.compute.plugins.module_utils._clients.rpc import Rpc
from ansible_collections.nosana.compute.plugins.module_utils._clients.transaction import Sender
from ansible_collections.nosana.compute.plugins.module_utils._jobs.cache import Cache
from ansible_collections.nosana.compute.plugins.module_utils._jobs.markets import Wish
from ansible_collections.nosana.compute.plugins.module_utils._jobs.service import Declaration, JobService, Outcome, Wait, WaitFor

NETWORK = replace(
    NETWORKS["localnet"],
    rpc_urls=("http://node.test/", "http://other-node.test/"),
    ipfs_api_url="http://pins.test",
    ipfs_gateway_urls=("http://gateway.test/ipfs/", "http://other-gateway.test/ipfs/"),
    api_url="http://api.test",
    node_domain="http://hosts.test",
)


class Memory(Cache):
    """A cache without a disk; it keeps what JSON keeps."""

    def __init__(self) -> None:
        super().__init__(None)
        self._facts: dict[str, str] = {}

    def get(self, keys: Iterable[str]) -> dict[str, Any]:
        return {key: json.loads(self._facts[key]) for key in keys if key in self._facts}

    def put(self, facts: Mapping[str, Any]) -> None:
        self._facts |= {key: json.dumps(value) for key, value in facts.items()}


POSTED = Wait("posted", 0, 5)
# The dear market is too dear for the first wish whatever its owner does to the prices; all markets fit the second.
WISHES = (Wish(max_price=Decimal("0.3")), Wish(gpu="rtx 3060"))
TOO_DEAR = MARKETS[1]


@dataclass(frozen=True)
class Task:
    """One task of a playbook. `declaration` None: state is absent."""

    name: str
    declaration: Declaration | None = None
    wait: Wait = POSTED
    purge: bool = False
    check_mode: bool = False

    def __str__(self) -> str:
        if self.declaration is None:
            return f"absent {self.name}" + (" purge" if self.purge else "")
        wish = self.declaration
        variant = next(number for number in range(VARIANTS) if document(self.name, number) == wish.document)
        words = [
            self.name,
            f"definition {variant}",
            str(wish.market),
            f"{wish.timeout_seconds} s",
            wish.on_change,
            wish.rerun,
            self.wait.goal,
        ]
        return "present " + ", ".join(words) + (" check mode" if self.check_mode else "")


def random_task(chance: random.Random) -> Task:
    """What playbooks wish for."""
    name, draw = chance.choice(NAMES), chance.random()
    if draw < 0.25:
        return Task(name, purge=draw < 0.1)
    market = chance.choice(MARKETS)
    declaration = Declaration(
        name,
        document(name, chance.choices(range(VARIANTS), (6, 3, 1))[0]),
        chance.choice(WISHES) if chance.random() < 0.2 else market.slug if chance.random() < 0.3 else str(market.address),
        chance.choice((None, 120, 300, 600, 900)),
        chance.choices(("replace", "fail", "ignore"), (7, 1, 2))[0],
        chance.choices(("never", "failed", "finished", "always"), (6, 1, 2, 1))[0],
    )
    if chance.random() < 0.1:
        declaration = replace(declaration, node=str(key_of("host", chance.randrange(HOSTS)).pubkey()))
    goals: tuple[WaitFor, ...] = ("posted", "running", "ready", "completed")
    goal = chance.choices(goals, (5, 1.5, 1, 3))[0]
    return Task(name, declaration, Wait(goal, chance.choice((0, 60, 400)), chance.choice((5, 15))), check_mode=draw > 0.95)


def occasions(task: Task) -> list[str]:
    """What is counted of a task, see faults.OCCASIONS."""
    wish = task.declaration
    asked = {"wish": wish and isinstance(wish.market, Wish), "node": wish and wish.node, "wait_ready": wish and task.wait.goal == "ready"}
    return [occasion for occasion, there in asked.items() if there]


@dataclass
class Run:
    """One run, and what came of it: an outcome, or an error, or neither when it was killed."""

    name: str
    task: Task
    started: float
    ended: float = 0.0
    outcome: Outcome | None = None
    error: NosanaError | None = None
    crash: BaseException | None = None
    """Anything that is not one of our errors is a bug."""
    killed: bool = False
    met: Counter[str] = field(default_factory=Counter)
    asked: Counter[str] = field(default_factory=Counter)

    @property
    def failure(self) -> NosanaError | None:
        return self.error or (self.outcome.failure if self.outcome else None)

    def __str__(self) -> str:
        if self.killed:
            end = "killed"
        elif self.failure is not None:
            end = f"{self.failure.code}: {self.failure}"
        else:
            assert self.outcome is not None
            end = f"{'changed' if self.outcome.changed else 'ok'} {[done.kind for done in self.outcome.actions]}"
        return f"{self.name}: {self.task} -> {end}"


async def run_task(world: World, internet: Internet, name: str, task: Task, cache: Cache, *, kill_after_events: int | None = None) -> Run:
    """One process from its start to its end."""
    scheduler = internet.scheduler
    process = Process(scheduler, name, kill_after_events)
    wire = Wire(internet, process)
    run = Run(name, task, scheduler.now)
    scheduler.note(name, str(task))
    work = asyncio.ensure_future(_work(world, internet, wire, process, run, cache))
    await asyncio.wait((work, process.ended), return_when=asyncio.FIRST_COMPLETED)
    run.killed, run.ended, run.met, run.asked = not process.alive, scheduler.now, wire.met, wire.asked
    if run.killed:
        scheduler.killed.append(work)
    else:
        work.result()
        scheduler.note(name, str(run).partition(" -> ")[2] if run.crash is None else f"crashed: {run.crash!r}")
    return run


async def _work(world: World, internet: Internet, wire: Wire, process: Process, run: Run, cache: Cache) -> None:
    task = run.task
    clock = VirtualClock(process, skew_seconds=wire.skew_seconds)
    try:
        async with Http(clock, transport=wire) as http:
            rpc = Rpc(http, NETWORK.rpc_urls[: wire.nodes], genesis_hash=NETWORK.genesis_hash)
            service = JobService(
                network=NETWORK,
                wallet=world.wallet,
                rpc=rpc,
                ipfs=Ipfs(http, NETWORK.ipfs_api_url, NETWORK.ipfs_gateway_urls[: wire.gateways], None),
                api=Api(http, NETWORK.api_url),
                node_api=NodeApi(http),
                sender=Sender(rpc, clock),
                clock=clock,
                cache=cache,
                pubsub=PubSub(NETWORK.rpc_urls, clock, Push(internet, process).connect) if wire.pubsub else None,
            )
            if task.declaration is None:
                run.outcome = await service.absent(task.name, dry_run=task.check_mode, purge=task.purge)
            else:
                run.outcome = await service.present(task.declaration, wait=task.wait, dry_run=task.check_mode)
    except NosanaError as error:
        run.error = error
    except Exception as error:
        run.crash = error


async def pause(scheduler: Scheduler, seconds: float) -> None:
    """Nothing for a while."""
    waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    scheduler.after(seconds, lambda: waiting.set_result(None))
    await waiting
