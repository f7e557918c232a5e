"""A few simulated days, always the same ones, and what the simulation itself must be: repeatable, and able to notice."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import simulate
from mutations import SEEDS as SEEDS_OF_MUTATIONS
from mutations import SOON, noticed
from scenario import Rush, Simulation, TwoDays
from simulate import describe

SEEDS = 30
RUSHES = 10
HOURS = 6


@pytest.mark.parametrize("seed", range(SEEDS))
def test_a_bad_day(seed: int) -> None:
    report = Simulation(seed).run()
    assert report.violation is None, describe(report)


@pytest.mark.parametrize("seed", range(RUSHES))
def test_many_want_one_name_at_once(seed: int) -> None:
    report = Rush(seed).run()
    assert report.violation is None, describe(report)


@pytest.mark.parametrize("seed", [7, 11])
def test_the_same_seed_is_the_same_day_in_every_process(seed: int) -> None:
    first, second = (told_by_a_process(seed, hash_seed) for hash_seed in (1, 2))
    assert first == second
    report = Simulation(seed).run()
    assert report.trace.lines > 100
    assert describe(report) in first  # which holds the digest of all lines
    assert Simulation(seed + 1).run().trace.digest != report.trace.digest


def told_by_a_process(seed: int, hash_seed: int) -> str:
    """A day's story from a Python of its own, whose sets and dictionaries of objects have another order."""
    command = [sys.executable, str(Path(simulate.__file__)), "--seed", str(seed)]
    environment = os.environ | {"PYTHONHASHSEED": str(hash_seed)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


def test_a_play_every_ten_minutes_and_the_balance_is_exact() -> None:
    days = TwoDays(1, hours=HOURS)
    report = days.run()
    assert report.violation is None, describe(report)
    assert days.plays["changed"] > HOURS


@pytest.mark.parametrize("name", SOON)
def test_a_guard_that_is_gone_is_noticed(name: str) -> None:
    assert noticed(name, range(SEEDS_OF_MUTATIONS)) is not None
