"""A few simulated days, always the same ones, and what the simulation itself must be: repeatable, and able to notice."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from mutations import SEEDS as SEEDS_OF_MUTATIONS
from mutations import SOON, noticed
from scenario import Simulation, TwoDays
from simulate import describe

SEEDS = 30
HOURS = 6


@pytest.mark.parametrize("seed", range(SEEDS))
def test_a_bad_day(seed: int) -> None:
    report = Simulation(seed).run()
    assert report.violation is None, describe(report)


def test_the_same_seed_is_the_same_day() -> None:
    first, second = Simulation(7).run(), Simulation(7).run()
    assert first.trace.lines > 100
    assert first.trace.digest == second.trace.digest
    assert Simulation(8).run().trace.digest != first.trace.digest


def test_a_play_every_ten_minutes_and_the_balance_is_exact() -> None:
    days = TwoDays(1, hours=HOURS)
    report = days.run()
    assert report.violation is None, describe(report)
    assert days.plays["changed"] > HOURS


@pytest.mark.parametrize("name", SOON)
def test_a_guard_that_is_gone_is_noticed(name: str) -> None:
    assert noticed(name, range(SEEDS_OF_MUTATIONS)) is not None
