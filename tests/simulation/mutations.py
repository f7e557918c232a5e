"""The test of the test: guards of the collection are taken away one by one, and each time the simulation has to notice.

`python mutations.py` tries all of them with up to 200 seeds, `python mutations.py NAME` one.
"""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from unittest import mock

from scenario import Report, Rush, Simulation
from solders.keypair import Keypair
from world import key_of

from ansible_collections.nosana.compute.plugins.module_utils._clients import ipfs, rpc, transaction
from ansible_collections.nosana.compute.plugins.module_utils._clients.errors import NotFound
from ansible_collections.nosana.compute.plugins.module_utils._clients.http import Response
from ansible_collections.nosana.compute.plugins.module_utils._jobs import generations, identity, observation, observe

SEEDS = 200


@contextmanager
def no_resend() -> Iterator[None]:
    """A transaction is sent once."""
    original = rpc.Rpc.send_transaction

    async def send(self: rpc.Rpc, raw: bytes, *, action: str, everywhere: bool = False) -> str | None:
        return None if everywhere else await original(self, raw, action=action)

    with mock.patch.object(rpc.Rpc, "send_transaction", send):
        yield


@contextmanager
def no_authoritative_read() -> Iterator[None]:
    """Neither other tools' jobs nor the generations are asked for before something is posted."""

    async def complete(_self: Any, seen: observation.Observation, **_more: Any) -> observation.Observation:
        return replace(seen, generation=seen.expected)

    with mock.patch.object(observe.Observer, "complete", complete):
        yield


@contextmanager
def random_key() -> Iterator[None]:
    """A job has a fresh key, as other tools have it, the same only within one run."""
    count = iter(range(10**9))

    def made(self: identity.Identity, generation: int, purpose: str) -> Keypair:
        keys: dict[tuple[int, str], Keypair] = self.__dict__.setdefault("keys", {})
        if (generation, purpose) not in keys:
            keys[generation, purpose] = key_of("mutant", next(count))
        return keys[generation, purpose]

    with mock.patch.object(identity.Identity, "key", made):
        yield


@contextmanager
def no_history() -> Iterator[None]:
    """What became of a job whose account is gone is not asked."""

    async def past(*_arguments: Any) -> tuple[None, bool]:
        return None, True

    with mock.patch.object(generations.Generations, "_past", past):
        yield


@contextmanager
def no_content_check() -> Iterator[None]:
    """Whatever a gateway answers is believed."""

    def believed(response: Response, cid: str, _server: str) -> bytes:
        if response.status != 200:
            raise NotFound(cid)
        return response.body

    with mock.patch.object(ipfs, "_verified", believed):
        yield


@contextmanager
def back_in_time() -> Iterator[None]:
    """Reads may be answered from before what was seen already."""
    with mock.patch.object(rpc.Rpc, "not_before", autospec=True):
        yield


@contextmanager
def expired_at_a_glance() -> Iterator[None]:
    """A node that does not know a transaction is believed, however far behind it is."""

    original = rpc.Rpc.get_signature_status

    async def status(self: rpc.Rpc, signature: str) -> tuple[int, Any]:
        return 2**62, (await original(self, signature))[1]

    with mock.patch.object(rpc.Rpc, "get_signature_status", status):
        yield


@contextmanager
def no_settling() -> Iterator[None]:
    """A job is followed by another one though a late posting may still come to its address."""

    async def outlast(*_arguments: Any) -> bool:
        return False

    with mock.patch.object(transaction.Sender, "outlast", outlast):
        yield


MUTATIONS: dict[str, Callable[[], Any]] = {
    mutation.__name__: mutation
    for mutation in (
        no_resend,
        no_authoritative_read,
        random_key,
        no_history,
        no_content_check,
        back_in_time,
        expired_at_a_glance,
        no_settling,
    )
}
# Where not every day holds what a guard is for.
DAYS: dict[str, Callable[[int], Simulation]] = {"no_settling": Rush}
# Those that are noticed soon, whatever the stories of the seeds are; `make simulate-mutations` tries all.
SOON = ("no_authoritative_read", "random_key", "no_settling")


def noticed(name: str, seeds: Iterable[int]) -> Report | None:
    """The first report of a violation without that guard; None when none of the seeds notices."""
    with MUTATIONS[name]():
        for seed in seeds:
            report = DAYS.get(name, Simulation)(seed).run()
            crash = next((run.crash for run in report.runs if run.crash is not None), None)
            if crash is not None:
                raise RuntimeError(f"{name} breaks the collection instead of taking a guard away: {crash!r}") from crash
            if report.violation is not None:
                return report
    return None


def main(arguments: list[str]) -> int:
    missed = 0
    for name in arguments or MUTATIONS:
        started = time.monotonic()
        report = noticed(name, range(SEEDS))
        missed += report is None
        words = f"noticed at seed {report.seed}: {report.violation}" if report else f"NOT NOTICED within {SEEDS} seeds"
        print(f"{name}: {words} ({time.monotonic() - started:.0f} s)", flush=True)
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
