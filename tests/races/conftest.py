"""Real processes that race and are killed, on a local network; the eyes and hands on the chain are the lifecycle suite's."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from nosana_localnet import genesis
from nosana_localnet.ledger import NOS_MINT
from nosana_localnet.server import Network, Settings
from nosana_localnet.thread import running

sys.path.insert(0, str(Path(__file__).parents[1] / "lifecycle"))

from actors import Faucet, host_key
from chain import Chain
from stage import Stage

HOSTS = 64


def _begin_hosts(network: Network) -> None:
    for number in range(HOSTS):
        genesis.begin_stake(network.ledger, host_key(number).pubkey(), NOS_MINT)
    network.ledger.settle()


@contextmanager
def a_stage(lag_slots: int) -> Iterator[Stage]:
    """A local network without hosts of its own. `lag_slots`: so many pass until a transaction is confirmed."""
    with running(Settings(port=0, runner="process", hosts={}, confirmed_lag_slots=lag_slots)) as network:
        network.call(_begin_hosts)
        chain = Chain(network.url)
        yield Stage(chain, Faucet(chain, network.call(lambda inside: inside.ledger.faucet)), network, map(host_key, range(1, HOSTS)))


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with a_stage(0) as found:
        yield found


@pytest.fixture(scope="module")
def stages(request: pytest.FixtureRequest) -> Iterator[list[Stage]]:
    """As many as the module has WORKERS, whose clocks are put forward each by itself; LAG is the module's, too."""
    with ExitStack() as stack:
        yield [stack.enter_context(a_stage(request.module.LAG)) for _worker in range(request.module.WORKERS)]
