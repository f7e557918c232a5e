"""Where the lifecycle suite plays: a local network alone, or a local network whose chain is a real Solana node.

With NOSANA_VALIDATOR, the path of solana-test-validator, it is the second. IPFS and the market list are the local network's in both.
"""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import validator
from actors import Faucet, host_key
from chain import Chain
from stage import Stage

from nosana_localnet import genesis, idl
from nosana_localnet.ledger import NOS_MINT, Ledger
from nosana_localnet.server import Settings
from nosana_localnet.thread import ThreadNetwork, running

HOSTS = 512  # the first of them takes part in the recorded conversation
PROGRAMS = {genesis.JOBS_PROGRAM: "nosana_jobs", genesis.DEVNET_JOBS_PROGRAM: "nosana_jobs", genesis.REWARDS_PROGRAM: "nosana_rewards"}


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What the suite learns is not left in anybody's home."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NOSANA_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def network() -> Iterator[ThreadNetwork]:
    """The local network, without hosts of its own."""
    with running(Settings(port=0, runner="process", hosts={})) as found:
        found.call(lambda inside: begin_hosts(inside.ledger))
        yield found


@pytest.fixture(scope="session")
def rpc_url(network: ThreadNetwork, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The chain's node: the real one, or the local network itself."""
    command = os.environ.get("NOSANA_VALIDATOR")
    if not command:
        yield network.url
        return
    with real_node(command, tmp_path_factory.mktemp("validator")) as url:
        yield url


@contextmanager
def real_node(command: str, directory: Path) -> Iterator[str]:
    """A validator that has been given what a local network begins with."""
    ledger = Ledger(time.time)
    genesis.begin(ledger)
    begin_hosts(ledger)
    programs = {address: idl.elf(name) for address, name in PROGRAMS.items()}
    with validator.running(command, directory, ledger, programs) as url:
        yield url


def begin_hosts(ledger: Ledger) -> None:
    """The stake accounts of the suite's hosts: no instruction of ours makes them."""
    for number in range(HOSTS):
        genesis.begin_stake(ledger, host_key(number).pubkey(), NOS_MINT)


@pytest.fixture(scope="session")
def stage(network: ThreadNetwork, rpc_url: str) -> Stage:
    """Everything that a test needs."""
    chain = Chain(rpc_url)
    faucet = network.call(lambda found: found.ledger.faucet)
    return Stage(chain, Faucet(chain, faucet), network, map(host_key, range(1, HOSTS)))
