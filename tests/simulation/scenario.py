"""A whole simulated day: everybody acts, everything goes wrong, then the faults end and order has to come back."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field, replace

from actors import Authority, Host, Person, Stage, Stranger, take_away
from chronicle import Chronicle, Life, vaults
from faults import Faults, even, profile
from playbooks import Memory, Run, Task, occasions, pause, random_task, run_task
from properties import Properties, Violation
from scheduler import START_SECONDS, Deadlock, Scheduler, Trace
from servers import Servers
from wire import Internet
from world import HOSTS, MARKETS, NAMES, PROGRAMS, VARIANTS, World, document

from ansible_collections.nosana.compute.plugins.module_utils._clients.ipfs import cid_of, encode_document
from ansible_collections.nosana.compute.plugins.module_utils._jobs.cache import Cache
from ansible_collections.nosana.compute.plugins.module_utils._jobs.service import Declaration, Wait
from nosana_localnet.ledger import token_address

_BLOCKHASH_SECONDS = 70.0  # whatever was sent before has landed then, or never will


@dataclass
class Report:
    """What came of one seed."""

    seed: int
    violation: str | None
    trace: Trace
    fired: Counter[str]
    runs: list[Run] = field(default_factory=list)
    seconds: float = 0.0
    requests: int = 0
    longest_run_seconds: float = 0.0


class Simulation:
    """One seed."""

    def __init__(self, seed: int, probability: dict[str, float] | None = None) -> None:
        """`probability`: of each fault; drawn from the seed when not given."""
        self.seed = seed
        chance = random.Random(f"profile {seed}")
        self.scheduler = Scheduler(seed)
        self.world = World(self.scheduler, confirmed_lag_slots=chance.choice((0, 1, 3)), fee_fraction=chance.choice((0, 10)))
        self.faults = Faults(self.scheduler.random, profile(chance) if probability is None else probability)
        self.chronicle = Chronicle(self.world)
        self.internet = Internet(self.scheduler, Servers(self.world, self.faults, self.chronicle), self.faults)
        self.stage = Stage(self.world, self.chronicle, self.faults)
        self.properties = Properties(self.chronicle, self.stage.results)
        self.scheduler.on_event = self.properties.look
        self.caches = [Memory(), Memory(), Cache.none()]
        self._count = 0

    def run(self) -> Report:
        """Lives the day, and reports."""
        violation = None
        try:
            self.scheduler.run(self.day())
        except Violation as error:
            violation = str(error)
        except Deadlock:
            violation = "everybody waits for ever"
        runs = list(self.properties.runs.values())
        seconds, requests = self.scheduler.now - START_SECONDS, sum(run.asked.total() for run in runs)
        longest = self.properties.longest_run_seconds
        return Report(self.seed, violation, self.scheduler.trace, self.faults.fired, runs, seconds, requests, longest)

    async def day(self) -> None:
        """Several playbooks at once, and everybody else."""
        chance = self.scheduler.random
        self.people()
        await asyncio.gather(*(self.playbook(number) for number in range(chance.choice((2, 2, 3, 4)))))
        self.stage.on = False
        self.faults.on = False
        self.internet.servers.heal()
        self.stage.reopen()
        await pause(self.scheduler, _BLOCKHASH_SECONDS)
        self.properties.finally_()
        for name in NAMES:
            await self.converge(name)
        self.home()

    def people(self) -> None:
        """Hosts, and with some luck the others."""
        chance, stage = self.scheduler.random, self.stage
        for number in range(HOSTS):
            stage.every(5, 60, Host(stage, number).act)
        if chance.random() < 0.6:
            stage.every(20, 400, Person(stage).act)
        if chance.random() < 0.5:
            stage.every(20, 300, Stranger(stage).act)
        if chance.random() < 0.4:
            stage.every(20, 300, Authority(stage).act)

    async def playbook(self, number: int) -> None:
        """Some runs, one after another."""
        chance = self.scheduler.random
        cache = chance.choice(self.caches)
        habit = random_task(chance)
        for _run in range(chance.randint(2, 4)):
            # Many playbooks say the same again and again; then it must not cost anything.
            task = habit if chance.random() < 0.5 else random_task(chance)
            kill = int(chance.expovariate(1 / 25)) + 1 if chance.random() < 0.2 else None
            await self.one_run(f"playbook {number}", task, cache, kill_after_events=kill)
            await pause(self.scheduler, chance.choice((0.0, 0.5, 20.0, 150.0)) * chance.random())

    async def one_run(self, who: str, task: Task, cache: Cache, *, kill_after_events: int | None = None) -> Run:
        """A run, from its start to the judgement of its report."""
        self._count += 1
        name = f"{who}.{self._count}"
        self.properties.runs[name] = Run(name, task, self.scheduler.now)
        for occasion in occasions(task):
            self.faults.count(occasion)
        run = await run_task(self.world, self.internet, name, task, cache, kill_after_events=kill_after_events)
        self.properties.runs[name] = run
        if run.killed:
            self.faults.count("killed")
        self.properties.ended(run)
        return run

    # --- afterwards ---------------------------------------------------------------------------------------------------

    async def converge(self, name: str) -> None:
        """Without faults one run brings the declared state, the next changes nothing, and absent brings everything home."""
        declaration = Declaration(name, document(name, 0), str(MARKETS[0].address), 300)
        task = Task(name, declaration, Wait("posted", 0, 5))
        first = await self.settled(task)
        await pause(self.scheduler, 2.0)
        self._stands(declaration, first)
        again = await self.one_run("afterwards", task, Cache.none())
        if again.failure is not None or again.outcome is None or again.outcome.changed or again.outcome.actions:
            raise Violation(f"{again} changes something again")
        gone = await self.settled(Task(name))
        left = [life.address for life in self.chronicle.active(name) if not self._is_nameless(life)]
        if left:
            raise Violation(f"{gone} leaves {left}")

    async def settled(self, task: Task) -> Run:
        """A run that does not fail; where a person has posted jobs of the same name, the person takes them away first."""
        run = await self.one_run("afterwards", task, Cache.none())
        if run.failure is not None and run.failure.code == "ambiguous_name":
            active = self.chronicle.active(task.name)
            persons = [life for life in active if not life.posted_by]
            if len(active) < 2 or not persons:
                raise Violation(f"{run.name} finds {task.name} ambiguous; active are {[life.address for life in active]}")
            for life in persons if len(persons) < len(active) else persons[1:]:
                take_away(self.world, life, "person")
            await pause(self.scheduler, 2.0)
            run = await self.one_run("afterwards", task, Cache.none())
        if run.failure is not None and run.failure.code == "not_found" and task.declaration is not None and self._lost(task.name):
            # Nobody has the definition of what is there any more, so nobody can compare it: the person does what the error advises.
            await self.settled(Task(task.name))
            wished = replace(task, declaration=replace(task.declaration, rerun="finished"))
            run = await self.one_run("afterwards", wished, Cache.none())
        if run.failure is not None:
            raise Violation(f"{run.name} does not converge: {run.failure}")
        return run

    def _is_nameless(self, life: Life) -> bool:
        return not life.posted_by and self.internet.servers.is_gone(life.cid)

    def _lost(self, name: str) -> bool:
        """Whether the definition of a job of the name can be read nowhere any more."""
        return any(self.internet.servers.is_gone(life.cid) for life in self.chronicle.of(name))

    def _stands(self, declaration: Declaration, run: Run) -> None:
        """Exactly one job equals the declaration, or the newest that equals it is over. A person's job beside ours may go unnoticed."""
        assert run.outcome is not None
        active = self.chronicle.active(declaration.name)
        active = [life for life in active if life.posted_by] or active
        cid = cid_of(encode_document(declaration.document))
        if not active:
            # A finished job of another tool with just this definition counts while the name has no past of its own.
            over = [life for life in self.chronicle.of(declaration.name) if life.posted_by or life.cid == cid]
            ours = [life for life in over if life.posted_by]
            over = ours or over
            if run.outcome.changed or not over or over[-1].removed or not over[-1].over or over[-1].cid != cid:
                raise Violation(f"{run.name} left no job {declaration.name}")
            return
        (life, *more) = active
        if more or life.cid != cid or str(life.market) != declaration.market:
            raise Violation(f"{run.name} left {[other.address for other in active]} of {declaration.name}, which is not what was declared")
        if life.fields and life.fields["timeout"] < (declaration.timeout_seconds or 0) and not _beyond_extension(life, self.scheduler.now):
            raise Violation(f"{run.name} left {life.address} with a timeout of {life.fields['timeout']} s")

    def home(self) -> None:
        """Every deposit is home, or with a host that earned it; the rest is the network's fee. Of a person's job whose definition is lost
        for ever nobody knows the name any more, so its deposit stays.
        """
        for market, vault in vaults().items():
            there = [life for life in self.chronicle.lives.values() if life.active and life.market == market]
            if self.chronicle.tokens[vault] and not (there and all(self._is_nameless(life) for life in there)):
                raise Violation(f"{self.chronicle.tokens[vault]} base units are left in the vault of {market}")
        hosts = [token_address(Host(self.stage, number).key.pubkey()) for number in range(HOSTS)]
        paid = sum(self.chronicle.tokens[account] - self.chronicle.started_with[account] for account in hosts)
        if paid != self.chronicle.earned:
            raise Violation(f"hosts have been paid {paid}, and have earned {self.chronicle.earned}")


class Rush(Simulation):
    """Several playbooks want one name at once, each as it likes; no host takes a job, and much of what is sent comes late."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed, {"delayed": 0.5, "unindexed": 0.1})

    def people(self) -> None:
        """Nobody else."""

    async def playbook(self, number: int) -> None:
        chance, name = self.scheduler.random, NAMES[0]
        for _run in range(4):
            declaration = Declaration(name, document(name, chance.randrange(VARIANTS)), str(MARKETS[0].address), 300)
            wish = Task(name, declaration) if chance.random() < 0.8 else Task(name)
            await self.one_run(f"playbook {number}", wish, Cache.none())
            await pause(self.scheduler, 5 * chance.random())


def day_of(seed: int) -> Simulation:
    """What a seed stands for: every twentieth is a rush."""
    return Rush(seed) if seed % 20 == 19 else Simulation(seed)


class TwoDays(Simulation):
    """A play every ten minutes for so many hours, an honest network of hosts, so many of all requests befallen by faults."""

    def __init__(self, seed: int, *, hours: float = 48, intensity: float = 0.05) -> None:
        super().__init__(seed, even(intensity))
        self._hours = hours
        self.plays: Counter[str] = Counter()

    async def day(self) -> None:
        chance = self.scheduler.random
        for number in range(HOSTS):
            self.stage.every(20, 200, Host(self.stage, number, honest=True).act)
        until = self.scheduler.now + self._hours * 3600
        next_at, number = self.scheduler.now, 0
        while next_at < until:
            await pause(self.scheduler, next_at - self.scheduler.now)
            name = chance.choice(NAMES)
            # Every play is another order, so that money moves: another definition, or the same once more.
            declaration = Declaration(
                name, document(name, number % VARIANTS), str(chance.choice(MARKETS).address), chance.choice((120, 300))
            )
            task = Task(name, replace(declaration, rerun="finished"), Wait(chance.choice(("posted", "completed")), 300, 15))
            run = await self.one_run("play", task if chance.random() < 0.8 else Task(name, purge=chance.random() < 0.5), self.caches[0])
            self.plays[run.failure.code if run.failure else "changed" if run.outcome and run.outcome.changed else "ok"] += 1
            number, next_at = number + 1, next_at + 600
        self.stage.on = False
        self.faults.on = False
        self.internet.servers.heal()
        self.stage.reopen()
        await pause(self.scheduler, _BLOCKHASH_SECONDS)
        self.properties.finally_()
        for name in NAMES:
            await self.settled(Task(name))
        self.home()
        self._balance()

    def _balance(self) -> None:
        """What the reports say adds up to what the wallet has less, to the base unit; who could not say it is asked of the ledger."""
        chronicle, said, unsaid = self.chronicle, 0, 0
        for run in self.properties.runs.values():
            change = run.outcome.balance_change if run.outcome is not None else None
            landed = set(self.properties.landed(run))
            reported = {done.signature for done in run.outcome.actions} if run.outcome is not None and change is not None else set()
            if reported & chronicle.undone:
                change, reported = None, set()  # what it said was so until a fork was given up
            said += change.nos_base_units if change is not None else 0
            unsaid += sum(self.properties.moved(signature) for signature in sorted(landed - reported))
        spent = chronicle.started_with[chronicle.ours] - chronicle.tokens[chronicle.ours]
        # What hosts bring back when they finish comes to the wallet by their transactions, not by ours.
        spent_by_us, brought_back = -(said + unsaid), self.properties.brought_back()
        if spent != spent_by_us - brought_back:
            raise Violation(
                f"the reports say {said}, and {unsaid} could not be said; {brought_back} came back; the wallet has {spent} less"
            )
        fees = chronicle.tokens[PROGRAMS["rewards_vault"]] - chronicle.started_with[PROGRAMS["rewards_vault"]]
        if spent != chronicle.earned + fees:
            raise Violation(f"the wallet has {spent} base units less; hosts have earned {chronicle.earned}, the fee was {fees}")
        self.scheduler.note("balance", f"{spent} spent: {chronicle.earned} earned by hosts, {fees} fees; {unsaid} that no report could say")


def _beyond_extension(life: Life, now: float) -> bool:
    """Given up by a host, or its host is dead: the program or the collection extend no such job."""
    assert life.fields is not None
    return life.fields["state"] != 0 or life.had("quit") or now - life.posted.seconds > life.fields["timeout"] + 600
