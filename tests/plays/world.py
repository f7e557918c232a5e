"""What a play has at hand: a network with its bad days, wallets with money, and ansible-playbook itself."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from actors import Faucet, host_key
from cases import EMPTY_MARKET, Case
from chain import Chain
from solders.pubkey import Pubkey
from stage import Money, Poster, Stage

from nosana_localnet import authority
from nosana_localnet.server import Network
from nosana_localnet.thread import ThreadNetwork

CALLBACKS = Path(__file__).parents[1] / "secrets" / "callback"
WORLDS = 4
DONE = 2
BEGIN = Money(10**9, 10**9)


@dataclass(frozen=True)
class Task:
    """What a task said of itself."""

    name: str
    failed: bool
    values: dict[str, Any]


@dataclass(frozen=True)
class Run:
    """An ansible-playbook process that has ended."""

    code: int
    seconds: float
    output: str
    tasks: list[Task]


@dataclass(frozen=True)
class Ended:
    """How the play of a case ended: "ok", or the code and the sentence of its failure."""

    case: Case
    end: str
    seconds: float


def stage_on(network: ThreadNetwork) -> Stage:
    """The lifecycle suite's eyes and hands on a network."""
    chain = Chain(network.url)
    return Stage(chain, Faucet(chain, network.call(lambda found: found.ledger.faucet)), network, iter([host_key(400)]))


@dataclass
class World:
    """A network, and a directory for what is run on it."""

    stage: Stage
    directory: Path
    runs: int = field(default=0)

    @property
    def network(self) -> ThreadNetwork:
        return self.stage.network

    def poster(self, market: Pubkey | None = None) -> Poster:
        """A wallet that has done nothing yet; unless one is named, in a market of its own."""
        return self.stage.poster(market, lamports=BEGIN.lamports, nos=BEGIN.nos)

    def play(self, poster: Poster, *tasks: dict[str, Any], seconds: float, **environment: str) -> Run:
        """One ansible-playbook process, which may take so many seconds, with a playbook for each task. Where there are several, one that
        fails does not keep the next from being played.
        """
        self.runs += 1
        directory = self.directory / f"run{self.runs}"
        directory.mkdir()
        wallet = directory / "wallet.json"
        wallet.write_text(json.dumps(list(bytes(poster.key))), encoding="utf-8")
        wallet.chmod(0o600)
        playbooks = [_playbook(directory / f"{number}.yml", task, go_on=len(tasks) > 1) for number, task in enumerate(tasks)]
        results = directory / "results"
        settings = {
            "ANSIBLE_CALLBACKS_ENABLED": "spy_dump",
            "ANSIBLE_CALLBACK_PLUGINS": str(CALLBACKS),
            "ANSIBLE_HOME": str(directory / "home"),
            "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
            "ANSIBLE_LOCALHOST_WARNING": "false",
            "NOSANA_CACHE": str(self.directory / f"cache-{poster.address}"),
            "SPY_RESULTS": str(results),
        }
        begun = time.monotonic()
        done = subprocess.run(
            [str(Path(sys.executable).parent / "ansible-playbook"), *playbooks],
            env=os.environ | self.network.environment(wallet) | settings | environment,
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            timeout=seconds,
        )
        took = time.monotonic() - begun
        lines = results.read_text(encoding="utf-8").splitlines() if results.exists() else []
        said = [Task(name, kind == "failed", values) for kind, name, values in map(json.loads, lines) if kind in ("ok", "failed")]
        return Run(done.returncode, took, done.stdout.decode("utf-8", "replace"), said)

    def jobs(self, poster: Poster) -> list[str]:
        """All jobs of the wallet."""
        return sorted(map(str, self.stage.chain.jobs_of(poster.address)))

    def active(self, poster: Poster) -> list[str]:
        """Jobs of the wallet that are not over."""
        return [str(job) for job, account in self._jobs(poster).items() if account["state"] != DONE]

    def owed(self, poster: Poster, paid_before: int) -> Money:
        """What must have left the wallet: fees, rent, the deposits of the jobs that are not over, and what hosts were paid since."""
        jobs = self._jobs(poster)
        fees = self.network.call(lambda network: sum(record.fee for record in network.ledger.records() if record.keys[0] == poster.address))
        runs = [address for job in jobs for address, run in self.stage.chain.runs_of(job) if run["payer"] == poster.address]
        rent = sum(map(self.stage.chain.lamports, [*jobs, *runs]))
        deposits = sum(account["price"] * account["timeout"] for account in jobs.values() if account["state"] != DONE)
        return Money(fees + rent, deposits + self.paid() - paid_before)

    def paid(self) -> int:
        """Base units of NOS that the network's own hosts have."""
        return sum(map(self.stage.chain.nos, self.network.call(lambda network: [host.address for host in network.hosts])))

    def settle(self) -> None:
        """What a fork is about to undo is undone, and what landed before is final."""
        self.network.call(lambda network: network.ledger.settle())

    def mend(self) -> None:
        """What a fault did to hosts and markets is made good, as their owners would."""
        self.network.run(_mend(self.network.network))

    def _jobs(self, poster: Poster) -> dict[Pubkey, dict[str, Any]]:
        found = {job: self.stage.chain.job(job) for job in self.stage.chain.jobs_of(poster.address)}
        return {job: account for job, account in found.items() if account is not None}


def _playbook(path: Path, task: Mapping[str, Any], *, go_on: bool) -> str:
    steps = [{"name": "job", "nosana.compute.nosana_job": task, "ignore_errors": go_on}]
    path.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": steps}]), encoding="utf-8")
    return path.name


async def _mend(network: Network) -> None:
    for host in network.hosts:
        await host.crash()
        host.start()
    market = authority.market_of(EMPTY_MARKET)
    if network.ledger.account(market.address) is None:
        authority.reopen(network.ledger, market)
    authority.drain(network.ledger, market)
    authority.set_price(network.ledger, market, market.price)
    network.ledger.settle()
