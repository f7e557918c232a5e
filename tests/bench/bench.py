"""How quick the collection is: in whole plays, as ratios to `ping` and to the module, measured in one run. Prints tables, writes JSON.

`make bench` runs it: python tests/bench/bench.py OUT.json tools/bench_localnet.py. A figure with a promise says whether it is kept; only
ratios, sizes and counts are comparable between machines.
"""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from asking import asked
from tested import BIN, other_python

from nosana_localnet.rpc import routes
from nosana_localnet.rpc.protocol import Call, answer
from nosana_localnet.server import Settings
from nosana_localnet.thread import ThreadNetwork, running

REPEATS = 3
TASKS = 20
MORE_TASKS = 100
ITEMS = 40
MANY = 1000
MARKETS = ["nvidia-3060", "nvidia-3090", "nvidia-4090", "nvidia-a100-40gb"]
MOST_IN_A_MARKET = 260

JOB = {"image": "alpine", "command": "sleep 5000"}


class Calls:
    """Counts the requests that the network's RPC node answers."""

    number = 0

    async def answer(self, body: bytes, call: Call) -> str | None:
        self.number += 1
        return await answer(body, call)


CALLS = Calls()


@dataclass(frozen=True)
class Ran:
    """A play that ended well: seconds, the largest process's memory in MB, and requests to the RPC node."""

    seconds: float
    memory_mb: float
    rpc: int


@dataclass(frozen=True)
class Figure:
    """One row of the table. `limit`: what was promised, as the most that it may be."""

    words: str
    value: float
    unit: str
    limit: float | None = None

    @property
    def kept(self) -> bool:
        return self.limit is None or self.value <= self.limit

    def __str__(self) -> str:
        promise = "" if self.limit is None else f"  promised: at most {self.limit:g}{'' if self.kept else '  MISSED'}"
        return f"{self.words:64}{self.value:10.3f} {self.unit:6}{promise}"


class Bench:
    """Runs plays on one network."""

    def __init__(self, network: ThreadNetwork, scratch: Path) -> None:
        self._network = network
        self._scratch = scratch
        self._plays = iter(range(10**6))
        wallet = scratch / "wallet.json"
        network.wallet(wallet, sol=1000, nos=100_000)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "NOSANA_"))}
        self._environment = (
            kept
            | network.environment(wallet)
            | {
                "NOSANA_MARKET": "free",
                "NOSANA_CACHE": str(scratch / "cache"),
                "ANSIBLE_COLLECTIONS_PATH": os.environ["ANSIBLE_COLLECTIONS_PATH"],
                "ANSIBLE_LOCALHOST_WARNING": "false",
                "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
                "ANSIBLE_HOME": str(scratch / "ansible"),
                "PATH": f"{BIN}:{os.environ['PATH']}",
            }
        )
        self.module_python = other_python(scratch)

    def play(self, tasks: list[dict[str, Any]], *, changed: int | None = None, module: bool = False) -> Ran:
        """Runs tasks in a play of their own. `changed`: how many of them have to say that they changed something."""
        path = self._scratch / f"{next(self._plays)}.yml"
        path.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]), encoding="utf-8")
        command = [str(BIN / "ansible-playbook"), str(path)]
        if module:
            command += ["-e", f"ansible_python_interpreter={self.module_python}"]
        asked = CALLS.number
        output = self._scratch / "output"
        with output.open("wb") as file:
            began = time.perf_counter()
            process = subprocess.Popen(command, env=self._environment, stdout=file, stderr=subprocess.STDOUT)
            _pid, status, used = os.wait4(process.pid, 0)
            seconds = time.perf_counter() - began
        text = output.read_text(encoding="utf-8")
        if status != 0 or (changed is not None and f"changed={changed} " not in text):
            raise SystemExit(f"a play did not end as it should:\n{text[-3000:]}")
        return Ran(seconds, used.ru_maxrss / 1024, CALLS.number - asked)

    def median(self, tasks: list[dict[str, Any]], **more: Any) -> Ran:
        """The median of some runs, figure by figure."""
        runs = [self.play(tasks, **more) for _repeat in range(REPEATS)]
        return Ran(*(statistics.median(getattr(run, key) for run in runs) for key in ("seconds", "memory_mb", "rpc")))


def jobs(number: int, **more: Any) -> list[dict[str, Any]]:
    """Tasks that declare one job each."""
    return [{"nosana.compute.nosana_job": {"name": f"task-{index}", **JOB, **more}} for index in range(number)]


def loop(number: int) -> list[dict[str, Any]]:
    """One task that declares many jobs, in several markets, because a queue does not hold so many."""
    market = "{{ " + str(MARKETS) + " [item // " + str(MOST_IN_A_MARKET) + "] }}"
    return [{"nosana.compute.nosana_job": {"name": "loop-{{ item }}", "market": market, **JOB}, "loop": list(range(number))}]


def plays(bench: Bench) -> list[Figure]:
    """Whole plays: an unchanged job in a task of its own, as an item of a loop, a thousand of them, and a posting."""
    empty = bench.median([])
    pings = bench.median([{"ansible.builtin.ping": {}} for _index in range(TASKS)])
    ping = (pings.seconds - empty.seconds) / TASKS
    bench.play(loop(MANY), changed=1)
    posting = [bench.play(jobs(TASKS), changed=TASKS)]
    for _repeat in range(REPEATS - 1):
        bench.play([{"nosana.compute.nosana_job": {"name": f"task-{index}", "state": "absent"}} for index in range(TASKS)])
        posting.append(bench.play(jobs(TASKS), changed=TASKS))
    post = (statistics.median(run.seconds for run in posting) - empty.seconds) / TASKS
    bench.play(jobs(MORE_TASKS))
    tasks = bench.median(jobs(MORE_TASKS), changed=0)
    task = (tasks.seconds - empty.seconds) / MORE_TASKS
    first = bench.median(jobs(1), changed=0).seconds - empty.seconds
    module = (bench.median(jobs(TASKS), changed=0, module=True).seconds - empty.seconds) / TASKS
    one, items = bench.median(loop(1), changed=0), bench.median(loop(1 + ITEMS), changed=0)
    item = (items.seconds - one.seconds) / ITEMS
    many = bench.play(loop(MANY), changed=0)
    return [
        Figure("ping, a task", ping, "s"),
        Figure("unchanged job, the first task of a play, with its imports", first, "s"),
        Figure(f"unchanged job, a task of {MORE_TASKS}, imports included", task, "s"),
        Figure("unchanged job, a task, by the module", module, "s"),
        Figure("unchanged job, an item of a loop", item, "s"),
        Figure("post, a task", post, "s"),
        Figure("unchanged job in a task, in pings", task / ping, "", 0.2),
        Figure("unchanged job in a loop, in pings", item / ping, "", 0.1),
        Figure("unchanged job in a task, in tasks of the module", task / module, ""),
        Figure("RPC requests of an unchanged job, a task", tasks.rpc / MORE_TASKS, "", 1),
        Figure(f"{MANY} unchanged jobs in one play", many.seconds, "s", 60),
        Figure(f"RPC requests of {MANY} unchanged jobs in one loop", many.rpc, "", MANY / 5),
        Figure("memory of the largest process, an empty play", empty.memory_mb, "MB"),
        Figure(f"how much more with {MANY} unchanged jobs", many.memory_mb - empty.memory_mb, "MB", 150),
    ]


def seconds_of(code: str) -> float:
    """The median time of a Python that runs some code."""

    def once() -> float:
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        return time.perf_counter() - began

    once()
    return statistics.median(once() for _repeat in range(2 * REPEATS + 1))


def imports() -> list[Figure]:
    """What the module's own code and libraries add to the start of an empty module."""
    empty = seconds_of("import ansible.module_utils.basic")
    module = seconds_of("import ansible_collections.nosana.compute.plugins.modules.nosana_job")
    return [Figure("import of the module, over an empty one", module - empty, "s", 0.35)]


def local_network(script: str, scratch: Path) -> tuple[dict[str, float], bool]:
    """The figures of the local network itself, printed by its own script."""
    out = scratch / "localnet.json"
    ran = subprocess.run([sys.executable, script, out], check=False)
    figures: dict[str, float] = json.loads(out.read_text(encoding="utf-8"))
    return figures, ran.returncode == 0


def main(out: str, localnet_script: str) -> int:
    """0 when every promise is kept."""
    routes.answer = CALLS.answer  # type: ignore[assignment]
    with tempfile.TemporaryDirectory() as directory:
        scratch = Path(directory)
        print("Plays, and the start of a module:")
        with running(Settings(port=0, runner="process", hosts={})) as network:
            figures = [*imports(), *plays(Bench(network, scratch))]
        print(*figures, "\nHow often it asks:", sep="\n")
        tasks, asked_little = asked()
        print("\nThe local network:")
        localnet, localnet_kept = local_network(localnet_script, scratch)
    everything = {
        "plays": {figure.words: figure.value for figure in figures},
        "tasks": {words: asdict(figure) for words, figure in tasks.items()},
        "localnet": localnet,
    }
    Path(out).write_text(json.dumps(everything, indent=2) + "\n", encoding="utf-8")
    return 0 if all([asked_little, localnet_kept, *(figure.kept for figure in figures)]) else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
