"""Twenty ansible-playbook processes at once, with the same play: one of them does it, and all of them say so."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from chain import CONFIRMED
from relay import Answer, Relay, Request, relaying
from solders.pubkey import Pubkey
from stage import PRICE, TIMEOUT, Money, Poster, Stage

HERE = Path(__file__).parent
PROCESSES = 20
PATIENCE_SECONDS = 240.0
HOLD_SECONDS = 20.0  # on a machine that is busy they do not wait for the last; a client gives up after 30
DEPOSIT = PRICE * TIMEOUT
JOB_RENT = 2_561_280
SUCCESS = {
    "status": "success",
    "opStates": [{"operationId": "race", "status": "success", "exitCode": 0, "logs": []}],
}
# One task of the play after the other. At the first question of each they wait for each other, so that all see the same.
STEPS: dict[str, dict[str, Any]] = {
    "post": {},
    "replace": {"env": {"COLOUR": "red"}},
    "rerun": {"env": {"COLOUR": "red"}, "rerun": "finished"},
    "absent": {"state": "absent"},
    "post again": {},
}


@dataclass
class Gate:
    """Where the questions of one task wait; by the process that asks, because a question that waits too long is asked again."""

    waiting: dict[str, float] = field(default_factory=dict)
    open: threading.Event = field(default_factory=threading.Event)


@dataclass
class Race:
    """The processes, each with the first question of a task until it is let go."""

    stage: Stage
    relay: Relay
    gates: dict[str, Gate]
    poster: Poster
    directory: Path
    processes: list[subprocess.Popen[bytes]]

    def run(self, step: str) -> tuple[list[dict[str, Any]], Money]:
        """What each process says of a task that all of them began together, and what it did to the wallet."""
        gate = self.gates[_path(step)]
        self._until(
            lambda: len(gate.waiting) == PROCESSES or time.monotonic() - min(gate.waiting.values(), default=math.inf) > HOLD_SECONDS
        )
        before = self.poster.money
        self.relay.forget()
        gate.open.set()
        self._until(lambda: all(self._result(racer, step) for racer in range(PROCESSES)))
        found = [result for racer in range(PROCESSES) if (result := self._result(racer, step))]
        assert self.relay.counts["simulateTransaction"] > 1, "they did not race"
        print(f"{step}: {self.relay.counts['sendTransaction']} transactions were sent, {sum(self.relay.counts.values())} requests")
        failed = [content.get("msg") for kind, content in found if kind != "ok"]
        assert failed == []
        return [content for _kind, content in found], self.poster.money - before

    def _result(self, racer: int, step: str) -> tuple[str, dict[str, Any]] | None:
        file = self.directory / f"results-{racer}"
        lines = file.read_text(encoding="utf-8").splitlines(keepends=True) if file.exists() else []
        entries = [json.loads(line) for line in lines if line.endswith("\n")]
        return next(((kind, content) for kind, name, content in entries if name == step), None)

    def _until(self, reached: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not reached():
            ended = [process.returncode for process in self.processes if process.poll()]
            assert not ended, (self.directory / "output").read_text(encoding="utf-8")[-3000:]
            assert time.monotonic() < deadline, (self.directory / "output").read_text(encoding="utf-8")[-3000:]
            time.sleep(0.05)


@pytest.fixture(scope="module")
def relay(stage: Stage) -> Iterator[Relay]:
    with relaying(stage.chain.url, stage.network.url) as found:
        yield found


@pytest.fixture(scope="module")
def gates(relay: Relay) -> Iterator[dict[str, Gate]]:
    """By the path of the RPC node that a task is given."""
    found = {_path(step): Gate() for step in STEPS}

    def wait(request: Request, pass_on: Callable[[], Answer]) -> Answer:
        path, _slash, racer = request.path.rpartition("/")
        gate = found.get(path)
        if gate is not None and not gate.open.is_set():
            gate.waiting.setdefault(racer, time.monotonic())
            gate.open.wait(PATIENCE_SECONDS)
        return pass_on()

    relay.meddle = wait
    yield found
    for gate in found.values():
        gate.open.set()


def _path(step: str) -> str:
    return f"/{step.replace(' ', '-')}"


@pytest.fixture(scope="module")
def race(stage: Stage, relay: Relay, gates: dict[str, Gate], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Race]:
    directory = tmp_path_factory.mktemp("race")
    poster = stage.poster()
    wallet = directory / "wallet.json"
    wallet.write_text(json.dumps(list(bytes(poster.key))), encoding="utf-8")
    wallet.chmod(0o600)
    tasks: list[dict[str, Any]] = []
    for step, options in STEPS.items():
        rpc_url = relay.options["rpc_url"] + _path(step) + "/{{ lookup('ansible.builtin.env', 'RACER') }}"
        what = {"name": "race", "image": "nginx", "market": str(poster.market), "rpc_url": rpc_url} | options
        tasks.append({"name": step, "nosana.compute.nosana_job": what})
    play = directory / "play.yml"
    play.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]), encoding="utf-8")
    environment = os.environ | stage.network.environment(wallet)
    environment |= {
        "ANSIBLE_CALLBACKS_ENABLED": "spy_dump",
        "ANSIBLE_CALLBACK_PLUGINS": str(HERE.parent / "secrets" / "callback"),
        "ANSIBLE_HOME": str(directory / "home"),
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
        "NOSANA_CACHE": str(directory / "cache"),
    }
    command = [str(Path(sys.executable).parent / "ansible-playbook"), str(play)]
    with ExitStack() as stack, (directory / "output").open("wb") as output:
        processes = []
        for racer in range(PROCESSES):
            its_own = environment | {"SPY_RESULTS": str(directory / f"results-{racer}"), "RACER": str(racer)}
            processes.append(
                subprocess.Popen(command, env=its_own, cwd=directory, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
            )
            stack.callback(processes[-1].wait)
            stack.callback(processes[-1].kill)
        yield Race(stage, relay, gates, poster, directory, processes)


def agreed(race: Race, step: str, done: list[str]) -> tuple[dict[str, Any], Money]:
    """The report of the one that did it. The others say that they did nothing, and all name the same job."""
    results, change = race.run(step)
    assert len(results) == PROCESSES
    changed = [result for result in results if result["changed"]]
    assert [[action["action"] for action in result["actions"]] for result in changed] == [done]
    for result in results:
        assert result["changed"] == bool(result["actions"])
    # What they report that they have done to the wallet is what was done to it, to the last base unit.
    sums = [sum(result["balance_change"][unit] for result in results) for unit in ("lamports", "nos_base_units")]
    assert Money(*sums) == change
    (winner,) = changed
    for action in winner["actions"]:
        landed = race.stage.chain.transaction(action["signature"], "base64")
        assert landed["meta"]["err"] is None
    if done[-1] == "post":
        (job,) = active(race)
        assert {result["id"] for result in results} == {str(job)}
        newest = race.stage.chain.rpc("getSignaturesForAddress", str(job), CONFIRMED)
        assert [entry["signature"] for entry in newest] == [winner["actions"][-1]["signature"]]
        assert race.stage.vault(race.poster.market) == DEPOSIT
    return winner, change


def active(race: Race) -> list[Pubkey]:
    """The jobs of the wallet that are not over."""
    jobs = race.stage.chain.jobs_of(race.poster.address)
    return [job for job in jobs if (account := race.stage.chain.job(job)) and account["state"] != 2]


def test_twenty_playbooks_at_once(race: Race) -> None:
    """One after the other, because each task begins with what the one before has left."""
    posted, change = agreed(race, "post", ["post"])
    assert change == Money(-JOB_RENT - posted["balance_change"]["fee_lamports"], -DEPOSIT)

    replaced, change = agreed(race, "replace", ["delist", "post"])
    assert change == Money(-replaced["balance_change"]["fee_lamports"], 0)
    assert replaced["id"] != posted["id"]
    assert len(race.stage.chain.jobs_of(race.poster.address)) == 1

    host = race.stage.host(race.poster.market)
    host.work()
    host.finish(Pubkey.from_string(replaced["id"]), race.stage.pin(SUCCESS))
    assert active(race) == []
    again, change = agreed(race, "rerun", ["post"])
    assert change == Money(-JOB_RENT - again["balance_change"]["fee_lamports"], -DEPOSIT)
    assert len({posted["id"], replaced["id"], again["id"]}) == 3

    removed, change = agreed(race, "absent", ["delist"])
    assert change == Money(JOB_RENT - removed["balance_change"]["fee_lamports"], DEPOSIT)
    assert active(race) == []
    assert race.stage.vault(race.poster.market) == 0

    anew, _change = agreed(race, "post again", ["post"])
    assert anew["id"] not in (posted["id"], replaced["id"], again["id"])
    assert [process.wait(PATIENCE_SECONDS) for process in race.processes] == [0] * PROCESSES
