"""A network in a thread of its own, for programs and tests that are not asynchronous themselves."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from solders.keypair import Keypair
from solders.pubkey import Pubkey

from .faults import Faults
from .server import BASE_UNITS_PER_NOS, LAMPORTS_PER_SOL, Network, Settings, read_wallet, run
from .state import snapshot

Answer = TypeVar("Answer")
START_SECONDS = 60.0


class ThreadNetwork:
    """A running network as seen from other threads. Everything that touches it happens in its own thread, one thing after another."""

    def __init__(self, network: Network, loop: asyncio.AbstractEventLoop):
        self.network = network
        self._loop = loop

    @property
    def url(self) -> str:
        """Where everything answers."""
        return self.network.url

    def environment(self, wallet: Path) -> dict[str, str]:
        """The NOSANA_* variables by which the Ansible collection finds this network and the wallet."""
        return self.network.environment(wallet)

    def call(self, function: Callable[[Network], Answer]) -> Answer:
        """Calls a function with the network, in the network's thread."""

        async def inside() -> Answer:
            return function(self.network)

        return self.run(inside())

    def run(self, work: Awaitable[Answer]) -> Answer:
        """Runs something asynchronous in the network's thread."""

        async def inside() -> Answer:
            return await work

        return asyncio.run_coroutine_threadsafe(inside(), self._loop).result()

    def wallet(self, path: Path, *, sol: float = 10, nos: float = 1000, key: Keypair | None = None) -> Keypair:
        """Writes a wallet file, or reads the one that is there, and gives it money."""
        found = read_wallet(path, key)
        self.fund(found.pubkey(), sol=sol, nos=nos)
        return found

    def fund(self, address: Pubkey, *, sol: float = 0, nos: float = 0) -> None:
        """Money from the faucet, finalized when this returns."""

        def give(network: Network) -> None:
            if sol:
                network.ledger.airdrop(address, round(sol * LAMPORTS_PER_SOL))
            if nos:
                network.ledger.mint_nos(address, round(nos * BASE_UNITS_PER_NOS))
            network.ledger.settle()

        self.call(give)

    def warp(self, seconds: float) -> None:
        """Puts the network's clock forward."""
        self.call(lambda network: network.ledger.warp(seconds))

    @contextmanager
    def faults(self, *rules: Mapping[str, Any]) -> Iterator[Faults]:
        """Bad days for the length of the block, by rules such as ``{"kind": "stale", "slots": 20}``; ``fired`` of what it gives counts them."""
        self.call(lambda network: network.faults.replace(list(rules)))
        try:
            yield self.network.faults
        finally:
            self.call(lambda network: network.faults.clear())

    def fork(self, slots: int) -> list[str]:
        """Gives up the last slots, as when a confirmed fork loses; the signatures of what has not happened then."""
        return [str(signature) for signature in self.call(lambda network: network.ledger.fork(slots))]

    def snapshot(self) -> bytes:
        """The whole state; written to a file, it is what ``Settings.restore`` begins with."""
        return self.call(lambda network: snapshot(network.ledger, network.store))


@contextmanager
def running(settings: Settings) -> Iterator[ThreadNetwork]:
    """A network for as long as the block lasts. Raises what starting it raised, such as Unusable."""
    loop = asyncio.new_event_loop()
    started: list[ThreadNetwork] = []
    failed: list[BaseException] = []
    ready = threading.Event()
    ending = asyncio.Event()

    async def live() -> None:
        async with run(settings) as network:
            started.append(ThreadNetwork(network, loop))
            ready.set()
            await ending.wait()

    def work() -> None:
        try:
            loop.run_until_complete(live())
        except BaseException as error:
            failed.append(error)
        finally:
            ready.set()
            loop.close()

    thread = threading.Thread(target=work, name="nosana-localnet", daemon=True)
    thread.start()
    ready.wait(START_SECONDS)
    if not started:
        thread.join()
        raise failed[0]
    try:
        yield started[0]
    finally:
        loop.call_soon_threadsafe(ending.set)
        thread.join()
    if failed:
        raise failed[0]
