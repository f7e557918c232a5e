"""How quick the collection is, and how often it asks: an unchanged job, a posting, a removal, and a wallet with 10,050 jobs. Prints a table.

A part of `make bench`. Seconds are those of one task on a local network, without Ansible's own start; those of ansible-inventory are all.
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
from collections.abc import Callable
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "lifecycle"))

from actors import Faucet, host_key
from chain import Chain
from large_wallet import ACTIVE, FINISHED, definition, fill
from stage import Poster, Stage
from waves import counting

from nosana_localnet.server import Settings
from nosana_localnet.thread import ThreadNetwork, running

TIMES = 5
# Words → most seconds, most requests to the RPC node, most round trips up to the sending, most reads of IPFS; None is not promised.
LIMITS: dict[str, tuple[float | None, int | None, int | None, int | None]] = {
    "unchanged": (None, 1, 1, 0),
    "post after a removal": (None, None, 7, 0),
    "absent": (None, None, 4, None),
    "name in the large wallet, cold": (None, None, None, 50),
    "name in the large wallet, warm": (1.0, None, None, 5),
    "info by name there, warm": (1.0, None, None, 5),
    "info about the newest 100 there": (None, None, None, 200),
}
INVENTORY_JOBS = 1000
# Words → most seconds of ansible-inventory --list with a thousand jobs that run, its start included.
INVENTORY_LIMITS = {"ansible-inventory, cold": 2.0, "ansible-inventory, definitions known": 2.0, "ansible-inventory, from the cache": 2.0}


@dataclass(frozen=True)
class Asked:
    """What a task took: the median of the seconds, and the most of everything else."""

    seconds: float
    rpc: int
    trips: int
    reads: int


def asked() -> tuple[dict[str, Asked], bool]:
    """The figures by what was done, printed as a table, and whether every limit is kept."""
    with tempfile.TemporaryDirectory() as scratch, running(Settings(port=0, runner="process", hosts={})) as network:
        os.environ["NOSANA_CACHE"] = f"{scratch}/cache"
        chain = Chain(network.url)
        stage = Stage(chain, Faucet(chain, network.call(lambda inside: inside.ledger.faucet)), network, map(host_key, range(1, 64)))
        small, large = stage.poster(), stage.poster()
        network.call(lambda inside: fill(inside, large.address, large.market))
        print(f"{'':36}{'seconds':>9}{'RPC':>6}{'trips':>7}{'IPFS':>6}")
        figures, kept = {}, True
        for words, run, before in measured(small, large, scratch):
            figures[words] = measure(run, before)
            missed = [
                limit for figure, limit in zip(astuple(figures[words]), LIMITS[words], strict=True) if limit is not None and figure > limit
            ]
            kept = kept and not missed
            figure = figures[words]
            print(f"{words:36}{figure.seconds:9.3f}{figure.rpc:6}{figure.trips:7}{figure.reads:6}  {'MISSED' if missed else ''}")
        jobs = stage.poster()
        network.call(lambda inside: fill(inside, jobs.address, jobs.market, finished=0, active=INVENTORY_JOBS))
        for words, seconds in inventory(network, jobs, Path(scratch)).items():
            figures[words] = Asked(seconds, 0, 0, 0)
            kept = kept and seconds <= INVENTORY_LIMITS[words]
            print(f"{words:36}{seconds:9.3f}{'':19}  {'' if seconds <= INVENTORY_LIMITS[words] else 'MISSED'}")
    print(
        f"The large wallet has {FINISHED} finished jobs and {ACTIVE} that run, all posted by another tool. Trips: round trips up to the sending."
    )
    return figures, kept


Task = Callable[[], Any]


def measured(small: Poster, large: Poster, scratch: str) -> list[tuple[str, Task, Task]]:
    """What is measured, each with what has to be done before."""
    caches = iter(range(1000))
    document = dict(reversed(definition("active-7").items()))

    def fresh() -> None:
        os.environ["NOSANA_CACHE"] = f"{scratch}/cache-{next(caches)}"

    def nothing() -> None:
        pass

    def post() -> None:
        small.job()

    def remove() -> None:
        small.job(state="absent")

    def find() -> Any:
        result = large.job(name="active-7", job_definition=document)
        assert not result.values["changed"]
        return result

    return [
        ("unchanged", small.job, post),
        ("post after a removal", small.job, remove),
        ("absent", lambda: small.job(state="absent"), post),
        ("name in the large wallet, cold", find, fresh),
        ("name in the large wallet, warm", find, nothing),
        ("info by name there, warm", lambda: large.info(name="active-7"), nothing),
        ("info about the newest 100 there", lambda: large.info(limit=100, status=["completed"]), nothing),
    ]


def measure(run: Task, before: Task) -> Asked:
    """Runs a task some times."""
    seconds, rpc, trips, reads = [], [], [], []
    for _time in range(TIMES):
        before()
        began = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - began)
        before()
        with counting() as waves:
            run()
        rpc.append(waves.rpc)
        trips.append(waves.before_confirmation)
        reads.append(waves.counts["read"])
    return Asked(statistics.median(seconds), max(rpc), max(trips), max(reads))


def inventory(network: ThreadNetwork, owner: Poster, scratch: Path) -> dict[str, float]:
    """The median of the seconds of ansible-inventory."""
    wallet, source = scratch / "wallet.json", scratch / "x.nosana.yml"
    wallet.write_text(json.dumps(list(bytes(owner.key))), encoding="utf-8")
    wallet.chmod(0o600)
    caching = {"cache": True, "cache_plugin": "ansible.builtin.jsonfile", "cache_connection": str(scratch / "kept")}
    source.write_text(json.dumps({"plugin": "nosana.compute.nosana", **caching}), encoding="utf-8")
    command = [str(Path(sys.executable).parent / "ansible-inventory"), "-i", str(source), "--list"]

    def seconds(facts: str, *more: str) -> float:
        environment = {**os.environ, **network.environment(wallet), "NOSANA_CACHE": str(scratch / facts)}
        began = time.perf_counter()
        listed = subprocess.run([*command, *more], env=environment, capture_output=True, check=True)
        taken = time.perf_counter() - began
        assert len(json.loads(listed.stdout)["_meta"]["hostvars"]) == INVENTORY_JOBS
        return taken

    runs = [
        [seconds(f"facts-{number}", "--flush-cache") for number in range(TIMES)],
        [seconds("facts-0", "--flush-cache") for _time in range(TIMES)],
        [seconds("facts-0") for _time in range(TIMES)],
    ]
    return {words: statistics.median(taken) for words, taken in zip(INVENTORY_LIMITS, runs, strict=True)}
