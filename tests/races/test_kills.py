"""kill -9 and Ctrl-C at random moments of a posting or a replacement; the next run finds what is there and finishes it.

NOSANA_KILLS is how many, NOSANA_SEED decides the moments. What is killed is the module's own process, which is all that a run consists of.
"""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from actors import Host
from chain import until
from relay import Answer, Meddle, Relay, Request, relaying
from solders.pubkey import Pubkey
from solders.transaction import VersionedTransaction
from stage import PRICE, TIMEOUT, Poster, Stage

KILLS = int(os.environ.get("NOSANA_KILLS", "10"))
SEED = os.environ.get("NOSANA_SEED", "nosana.compute")
LAG = 2  # slots from sending to confirmation: most of a run's time
WORKERS = 4
HELD_SECONDS = 0.4  # so long a transaction may be on its way while who sent it is dead and the next run has begun
DEPOSIT = PRICE * TIMEOUT
JOB_RENT = 2_561_280
DONE = 2
MODULE = "ansible_collections.nosana.compute.plugins.modules.nosana_job"
BEFORE, UNDER_WAY, LANDED, ENDED = "before anything was sent", "after it was sent", "after it had landed", "when it had ended"


@dataclass
class Victim:
    """A wallet with one job, whose runs are killed, in a market of its own."""

    stage: Stage
    poster: Poster
    host: Host
    directory: Path
    relay: Relay
    chance: random.Random
    sent: list[str] = field(default_factory=list)
    lifetime_seconds: float = 1.0
    colour: int = 0
    table: Counter[tuple[str, str, str]] = field(default_factory=Counter)

    def begin(self) -> None:
        """Measures how long a run takes that nobody kills."""
        began = time.monotonic()
        assert self.finish()["changed"]
        self.lifetime_seconds = time.monotonic() - began

    def start(self, **options: Any) -> subprocess.Popen[bytes]:
        """The module's process, with the job as it is wanted now."""
        wanted = {
            "name": "job",
            "image": "nginx",
            "market": str(self.poster.market),
            "timeout": TIMEOUT,
            "env": {"COLOUR": str(self.colour)},
            "wallet": json.dumps(list(bytes(self.poster.key))),
            "rpc_url": self.relay.options["rpc_url"],
            "_ansible_remote_tmp": str(self.directory),
        }
        arguments = self.directory / "arguments.json"
        arguments.write_text(json.dumps({"ANSIBLE_MODULE_ARGS": wanted | options}), encoding="utf-8")
        environment = os.environ | self.stage.network.environment(self.directory / "unused.json")
        environment |= {"NOSANA_CACHE": str(self.directory / "cache"), "PYTHONPATH": os.environ["ANSIBLE_COLLECTIONS_PATH"]}
        return subprocess.Popen(
            [sys.executable, "-m", MODULE, str(arguments)],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def finish(self, **options: Any) -> dict[str, Any]:
        """A run to its end."""
        output, _errors = (process := self.start(**options)).communicate(timeout=120)
        result: dict[str, Any] = json.loads(output)
        assert process.returncode == 0, result
        return result

    def die(self, number: int) -> None:
        """One run that is killed, one that is not, and what there is then."""
        what = self._prepare()
        self.colour += 1
        self.sent.clear()
        began = time.monotonic()
        process = self.start()
        how = signal.SIGINT if number % 5 == 4 else signal.SIGKILL
        try:
            process.wait(self.chance.uniform(0, 1.1) * self.lifetime_seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, how)
        moment = self._moment(process)
        self.table[(what, how.name, moment)] += 1
        told = f"{what}, {how.name} after {time.monotonic() - began:.3f} s, {moment}, seed {SEED}"
        process.communicate(timeout=60)

        result = self.finish()
        assert result["status"] in ("pending", "running"), told
        assert result["changed"] == bool(result["actions"]), told
        if moment == ENDED:
            assert not result["changed"], told
        self._check(result["id"], told)

    def _prepare(self) -> str:
        """What the killed run would do: post, or replace a job that waits or runs."""
        what = self.chance.choice(["post", "replace what waits", "replace what runs"])
        if what == "post":
            self.finish(state="absent")
        self.stage.settle()  # else it would be killed while it waits for that, long before it sends anything
        if what == "replace what runs" and not self._runs():
            self.host.work()
        return what if what == "post" else "replace what runs" if self._runs() else "replace what waits"

    def _runs(self) -> bool:
        try:
            return any(self.stage.chain.run_of(job) for job in self._active())
        except ValueError:
            return False

    def _active(self) -> list[Pubkey]:
        jobs = self.stage.chain.jobs_of(self.poster.address)
        return [job for job in jobs if (account := self.stage.chain.job(job)) and account["state"] != DONE]

    def _moment(self, process: subprocess.Popen[bytes]) -> str:
        if process.poll() == 0:
            return ENDED
        if not self.sent:
            return BEFORE
        statuses = self.stage.chain.rpc("getSignatureStatuses", [self.sent[-1]])["value"]
        return LANDED if statuses[0] and statuses[0]["confirmationStatus"] in ("confirmed", "finalized") else UNDER_WAY

    def _check(self, address: str, told: str) -> None:
        """One active job, with the definition that was wanted last, and no base unit and no lamport anywhere else."""
        time.sleep(HELD_SECONDS)  # what is still on its way has to arrive first
        chain = self.stage.chain
        newest = chain.rpc("getSlot", {"commitment": "processed"})
        until(lambda: chain.rpc("getSlot", {"commitment": "confirmed"}) >= newest)
        assert [str(job) for job in self._active()] == [address], told
        account = chain.job(Pubkey.from_string(address))
        assert account is not None
        assert account["timeout"] == TIMEOUT
        vault = self.stage.vault(self.poster.market)
        assert vault == DEPOSIT, told
        host = self.stage.money(self.host.address).nos
        assert self.poster.money.nos + host + vault == 1_000_000, told
        # Every lamport is in the wallet, in rent of jobs, in rent of what runs, or was a fee.
        fees = self.stage.network.call(
            lambda network: sum(record.fee for record in network.ledger.records() if record.keys[0] == self.poster.address)
        )
        rent = JOB_RENT * len(chain.jobs_of(self.poster.address))
        assert self.poster.money.lamports + fees + rent == 10**9, told


@pytest.fixture(scope="module")
def victims(stages: list[Stage], tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Victim]]:
    with ExitStack() as stack:
        found = []
        for number, stage in enumerate(stages):
            poster, relay = stage.poster(), stack.enter_context(relaying(stage.chain.url, stage.network.url))
            chance, directory = random.Random(f"{SEED} {number}"), tmp_path_factory.mktemp("victim")
            found.append(Victim(stage, poster, stage.host(poster.market), directory, relay, chance))
            relay.meddle = _holding(found[-1].sent, random.Random(f"{SEED} {number} held"))
        yield found


def _holding(sent: list[str], chance: random.Random) -> Meddle:
    """Notes what is sent, and lets some of it be on its way for a while."""

    def hold(request: Request, pass_on: Callable[[], Answer]) -> Answer:
        if request.kind == "sendTransaction":
            raw = base64.b64decode(json.loads(request.body)["params"][0])
            sent.append(str(VersionedTransaction.from_bytes(raw).signatures[0]))
            time.sleep(chance.choice([0, 0, HELD_SECONDS]) * chance.random())
        return pass_on()

    return hold


def test_killed_at_random_moments(victims: list[Victim]) -> None:
    def work(victim: Victim) -> None:
        victim.begin()
        for number in range(victims.index(victim), KILLS, WORKERS):
            victim.die(number)

    with ThreadPoolExecutor(WORKERS) as pool:
        for done in [pool.submit(work, victim) for victim in victims]:
            done.result()
    table = sum((victim.table for victim in victims), Counter())
    moments = [BEFORE, UNDER_WAY, LANDED, ENDED]
    print(f"\n{sum(table.values())} runs ended by a signal; a run takes {victims[0].lifetime_seconds:.2f} s")
    print(f"{'':30}" + "".join(f"{moment:>27}" for moment in moments))
    for what, how in sorted({(what, how) for what, how, _moment in table}):
        print(f"{what:20}{how:>10}" + "".join(f"{table[what, how, moment]:27}" for moment in moments))
    assert sum(table.values()) == KILLS
