"""Networks for the plays, several beside each other because most of a bad day is waiting; and the table of how the plays ended."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import queue
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from nosana_localnet.server import Settings
from nosana_localnet.thread import running

sys.path.insert(0, str(Path(__file__).parents[1] / "lifecycle"))

from cases import HOST_MARKET
from world import WORLDS, Ended, World, stage_on

_TABLE = pytest.StashKey[list[Ended]]()


@pytest.fixture(scope="session")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[queue.SimpleQueue[World]]:
    """Those that nobody uses. Faults are a whole network's, so a network has one play at a time."""
    free: queue.SimpleQueue[World] = queue.SimpleQueue()
    with ExitStack() as stack:
        for number in range(WORLDS):
            network = stack.enter_context(running(Settings(port=0, runner="process", hosts={HOST_MARKET: 1})))
            free.put(World(stage_on(network), tmp_path_factory.mktemp(f"world{number}")))
        yield free


@pytest.fixture
def world(worlds: queue.SimpleQueue[World]) -> Iterator[World]:
    """One for a test alone."""
    found = worlds.get()
    yield found
    worlds.put(found)


@pytest.fixture(scope="session")
def table(pytestconfig: pytest.Config) -> list[Ended]:
    """Where plays that have ended are noted."""
    return pytestconfig.stash.setdefault(_TABLE, [])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Fault, seconds and end of each play, where all are asked for."""
    if os.environ.get("NOSANA_PLAYS") == "all":
        for ended in sorted(config.stash.get(_TABLE, []), key=lambda ended: ended.case.label):
            terminalreporter.write_line(f"{ended.case.label:44} {ended.seconds:5.1f} s of {ended.case.seconds:3}  {ended.end}")
