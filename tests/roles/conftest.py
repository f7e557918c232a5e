"""A user of the roles: a wallet on a local network with hosts, and plays that are started with ansible-playbook."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from nosana_localnet.server import Settings
from nosana_localnet.thread import ThreadNetwork, running

sys.path.insert(0, str(Path(__file__).parents[1] / "lifecycle"))

from chain import Chain

MARKET = "nvidia-3060"
HOSTS = 10
PATIENCE_SECONDS = 300.0
DONE = 2


@dataclass
class Play:
    """An ansible-playbook that has ended: what its tasks returned, by their names, and what it printed."""

    code: int
    output: str
    results: dict[str, list[dict[str, Any]]]

    @property
    def changed(self) -> set[str]:
        """The tasks that changed something."""
        return {name for name, found in self.results.items() if any(result.get("changed") for result in found)}

    def fact(self, name: str) -> Any:
        """A fact that the play has set last."""
        found = [
            result["ansible_facts"][name]
            for results in self.results.values()
            for result in results
            if name in result.get("ansible_facts", {})
        ]
        return found[-1]


@dataclass
class User:
    """A directory, a wallet and the network."""

    network: ThreadNetwork
    chain: Chain
    directory: Path
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self.address = self.network.wallet(self.directory / "wallet.json", nos=10_000).pubkey()

    def start(self, role: str, *, check: bool = False, **options: Any) -> tuple[subprocess.Popen[bytes], Path]:
        """Starts a play of one role; what it says is found in files of the returned name."""
        place = self.directory / f"play-{next(self.numbers)}"
        task = {"ansible.builtin.include_role": {"name": f"nosana.compute.{role}"}, "vars": options}
        place.with_suffix(".yml").write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": [task]}]), encoding="utf-8")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "NOSANA_"))}
        environment |= self.network.environment(self.directory / "wallet.json")
        environment |= {
            "ANSIBLE_CALLBACKS_ENABLED": "spy_dump",
            "ANSIBLE_CALLBACK_PLUGINS": str(Path(__file__).parents[1] / "secrets" / "callback"),
            "ANSIBLE_COLLECTIONS_PATH": os.environ["ANSIBLE_COLLECTIONS_PATH"],
            "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
            "ANSIBLE_LOCALHOST_WARNING": "false",
            "ANSIBLE_NOCOLOR": "1",
            "HOME": str(self.directory),
            "NOSANA_MARKET": MARKET,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "SPY_RESULTS": str(place.with_suffix(".json")),
            # A resolver need not know that .localhost is this machine; the network is a proxy for these names.
            "http_proxy": self.network.url,
            "no_proxy": "127.0.0.1",
        }
        command = ["ansible-playbook", str(place.with_suffix(".yml")), *(["--check"] if check else [])]
        with place.with_suffix(".txt").open("wb") as output:
            child = subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
            )
        return child, place

    def end(self, started: tuple[subprocess.Popen[bytes], Path]) -> Play:
        """Waits until it has ended."""
        child, place = started
        try:
            code = child.wait(PATIENCE_SECONDS)
        finally:
            child.kill()
        results: dict[str, list[dict[str, Any]]] = {}
        spied = place.with_suffix(".json")
        for line in spied.read_text(encoding="utf-8").splitlines() if spied.exists() else []:
            _kind, name, content = json.loads(line)
            results.setdefault(name.rpartition(" : ")[2], []).append(content)
        return Play(code, place.with_suffix(".txt").read_text(encoding="utf-8"), results)

    def play(self, role: str, *, check: bool = False, **options: Any) -> Play:
        """Runs a play of one role."""
        return self.end(self.start(role, check=check, **options))

    def posted(self) -> int:
        """How many jobs the wallet has on the chain, over or not. None of them is ever taken away here unless it still waited."""
        return len(self.chain.jobs_of(self.address))

    def active(self) -> int:
        """How many of them are not over."""
        return sum(job is not None and job["state"] != DONE for job in map(self.chain.job, self.chain.jobs_of(self.address)))

    def definitions(self) -> Counter[str]:
        """How many jobs there are of each name."""
        cids = [job["ipfs_job"] for job in map(self.chain.job, self.chain.jobs_of(self.address)) if job is not None]
        return Counter(map(str, cids))


@pytest.fixture(scope="session")
def network() -> Iterator[ThreadNetwork]:
    with running(Settings(port=0, runner="process", hosts={MARKET: HOSTS})) as found:
        yield found


@pytest.fixture
def user(network: ThreadNetwork, tmp_path: Path) -> User:
    return User(network, Chain(network.url), tmp_path)
