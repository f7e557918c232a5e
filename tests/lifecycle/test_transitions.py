"""Every cell of the tables of docs/transitions.md on a whole chain: what was foretold, what was done, what it cost, and again.

Each cell is four passes: check, run, check, run. `make test-transitions` runs all cells; otherwise those run that hold every row of the
tables together with everything that may be found, and every way in which that comes about. A real node, where each of them takes seconds,
sees each row and each way once.
"""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import itertools
import os
import random
import re
from dataclasses import dataclass, field
from typing import Any

import pytest
from scenes import EXPIRATION, FAILURE, FOUND, Scene, set_up
from stage import TIMEOUT, Money, Stage, kinds

from ansible_collections.nosana.compute.plugins.module_utils._ansible.tasks import TaskResult
from ansible_collections.nosana.compute.plugins.module_utils._clients.errors import NosanaError
from ansible_collections.nosana.compute.tests.unit.plugins.module_utils.jobs.transition_tables import (
    ABSENT,
    ON_CHANGE,
    PRESENT,
    RERUN,
    WISHES,
    AbsentRow,
    Row,
    wanted,
    wanted_when_absent,
)
from ansible_collections.nosana.compute.tests.unit.plugins.module_utils.jobs.transition_tables import FOUND as WORDS

EVERY = bool(os.environ.get("NOSANA_TRANSITIONS"))
REAL = bool(os.environ.get("NOSANA_VALIDATOR"))
# What a job is like only once it is there: a prediction cannot know whether a host takes it at once.
_OF_THE_MOMENT = ("status", "message", "chain_state", "host", "time_started")
_TOO_YOUNG = "cannot be closed"


@dataclass(frozen=True)
class Cell:
    """One cell of the table of state=present, and how what is found came about."""

    found: str
    wish: str
    on_change: str
    rerun: str

    def __str__(self) -> str:
        return f"{self.found} | {self.wish} | {self.on_change} | {self.rerun}"

    @property
    def word(self) -> str:
        return FOUND[self.found].word

    @property
    def row(self) -> Row:
        return wanted(self.word, self.wish, self.on_change, self.rerun)

    @property
    def then(self) -> Row:
        """The row of the same task's second run."""
        if "post" in self.row.done:
            return wanted("running" if self.wish == "node" else "queued", "same", self.on_change, self.rerun)
        return wanted(self.word, "same" if self.row.done else self.wish, self.on_change, self.rerun)


def cells() -> list[Cell]:
    """All of them, or the selection: in random order, but always the same one, whatever adds a row, a word or a way to it."""
    every = [Cell(*parts) for parts in itertools.product(FOUND, WISHES, ON_CHANGE, RERUN)]
    every = [cell for cell in every if not (REAL and FOUND[cell.found].alone)]
    if EVERY:
        return every
    shuffled = random.Random(5).sample(every, len(every))
    chosen, held = [], set[tuple[Any, ...]]()
    for cell in shuffled:
        holds: set[tuple[Any, ...]] = {(cell.row,), (cell.found,)}
        if not REAL:
            holds |= {(cell.row, cell.word), ("second", cell.then)}
        if not holds <= held:
            chosen.append(cell)
            held |= holds
    return sorted(chosen, key=every.index)


# --- four passes ----------------------------------------------------------------------------------------------------------


@dataclass
class Run:
    """What a task said, or with what it was refused, and what happened to the money meanwhile."""

    result: TaskResult | None
    error: NosanaError | None
    spent: Money

    @property
    def values(self) -> dict[str, Any]:
        assert self.result is not None, self.error
        assert self.result.failure is None, self.result.failure
        return self.result.values

    @property
    def warnings(self) -> list[str]:
        """But for what only the ledger tells."""
        assert self.result is not None
        return [said for said in self.result.warnings if "did not exist and was created" not in said]


@dataclass
class Others:
    """What others did meanwhile with the same wallet: to its money, and by which transactions."""

    money: Money = field(default_factory=lambda: Money(0, 0))
    signatures: set[str] = field(default_factory=set)


def run(here: Scene, *, check_mode: bool, others: Others | None = None, **options: Any) -> Run:
    """One task. What it says about money is compared with the ledger to the base unit and the lamport."""
    chain, owner = here.stage.chain, here.poster.address
    before, known = here.books(), chain.signatures_of(owner)
    result, error = None, None
    try:
        result = here.poster.job(check_mode=check_mode, **options)
        error = result.failure
    except NosanaError as raised:
        error = raised
    others = others or Others()
    after, signatures = here.books(), chain.signatures_of(owner) - known - others.signatures
    spent = after.wallet - before.wallet - others.money
    assert after.in_vaults == after.deposits + here.lost
    assert len(after.active) <= 1
    if result is not None:
        change = {"nos_base_units": spent.nos, "lamports": spent.lamports, "fee_lamports": sum(map(chain.fee, signatures))}
        assert result.values["balance_change"] == change
        assert sum(action["nos_base_units"] for action in result.values["actions"]) == spent.nos
        assert {action["signature"] for action in result.values["actions"]} <= signatures
    if check_mode or result is None:
        assert (spent, signatures) == (Money(0, 0), set())
    assert after.all_nos == before.all_nos
    return Run(result, error, spent)


def pair(here: Scene, **options: Any) -> tuple[Run, Run]:
    """Check, run."""
    return run(here, check_mode=True, **options), run(here, check_mode=False, **options)


def steady(sentences: list[str]) -> list[str]:
    """The same without how many seconds are left, which a real node's clock makes fewer between two runs."""
    return [re.sub(r"\d+ s\b", "some s", sentence) for sentence in sentences] if REAL else sentences


def both_as(row: Row | AbsentRow, check: Run, real: Run) -> None:
    """What the row says was foretold, and was done; the diffs are equal."""
    if row.said == "refused":
        for each in (check, real):
            assert (each.error.code if each.error else None) == "change_refused"
        return
    assert kinds_of(check) == []
    assert kinds_of(real) == (row.done.split(", ") if row.done else [])
    assert check.values["changed"] == real.values["changed"] == bool(row.done)
    assert check.values["diff"] == real.values["diff"]
    diff = real.values["diff"]
    # A job that is replaced by its like, because rerun asks for it or its host is gone, differs in nothing that is declared.
    assert diff["before"] == diff["after"] or row.done
    assert steady(check.warnings) == steady(real.warnings)
    if row.said == "warning":
        assert real.warnings
    elif not row.done:
        assert not real.warnings


def kinds_of(done: Run) -> list[str]:
    assert done.result is not None, done.error
    assert done.result.failure is None, done.result.failure
    return kinds(done.result)


def same_job(check: Run, real: Run, *, posted: bool) -> None:
    """The job as it was foretold is the job as it is."""
    foretold, is_ = check.values["job"], real.values["job"]
    if foretold is None or is_ is None:
        assert foretold == is_
        return
    assert foretold.keys() == is_.keys()
    assert foretold["cost"] == is_["cost"]
    of_the_moment = _OF_THE_MOMENT if posted else ()
    assert {key: foretold[key] for key in foretold if key not in of_the_moment} == {
        key: is_[key] for key in is_ if key not in of_the_moment
    }


# --- state: present -------------------------------------------------------------------------------------------------------


def options_of(cell: Cell, here: Scene) -> dict[str, Any]:
    """The task's options. A declared host waits in the market, but where jobs wait no host can, so it waits in the other one."""
    wishes: dict[str, dict[str, Any]] = {
        "same": {},
        "longer": {"timeout": TIMEOUT + 100},
        "shorter": {"timeout": TIMEOUT - 100},
        "definition": {"env": {"COLOUR": "red"}},
        "market": {"market": str(here.other)},
    }
    if cell.wish == "node":
        market = here.other if cell.word == "queued" else here.poster.market
        host = here.host(market=market)
        host.work()
        wishes["node"] = {"node": str(host.address), "market": str(market)}
    return {"on_change": cell.on_change, "rerun": cell.rerun} | wishes[cell.wish]


@pytest.mark.parametrize("cell", cells(), ids=str)
def test_present(alone: Stage, cell: Cell) -> None:
    here = set_up(alone, cell.found)
    options = options_of(cell, here)
    for row in (cell.row, cell.then):
        if row is cell.then and cell.wish == "node" and row.done:
            here.hosts[-1].work()  # whoever wants a run on one host each time needs it to wait each time
        check, real = pair(here, **options)
        both_as(row, check, real)
        if row.said != "refused":
            same_job(check, real, posted="post" in row.done)
            assert real.values["job"] is not None
    assert cell.rerun == "always" or cell.then.done == ""


def test_the_cells_hold_every_row_word_and_way() -> None:
    chosen = cells()
    assert {cell.found for cell in chosen} == {found for found, how in FOUND.items() if not (REAL and how.alone)}
    if not REAL:
        assert {cell.row for cell in chosen} == set(PRESENT)
        assert {cell.word for cell in chosen} == set(WORDS)


# --- state: absent --------------------------------------------------------------------------------------------------------

PURGES = sorted({row.purge for row in ABSENT if row.purge != "any"} | {"no"})


def absent_cells() -> list[tuple[str, str]]:
    """All of them, or those that hold every row together with everything that may be found."""
    every = [cell for cell in itertools.product(FOUND, PURGES) if not (REAL and FOUND[cell[0]].alone)]
    first = {(wanted_when_absent(*_as_absent(*cell)), not REAL and FOUND[cell[0]].word): cell for cell in reversed(every)}
    return every if EVERY else sorted(first.values(), key=every.index)


def _as_absent(found: str, purge: str) -> tuple[str, str]:
    """In the table's words. An account that was closed already needs no closing."""
    how = FOUND[found]
    return ("removed by end" if how.word == "removed" and how.account else how.word), purge if how.account else "no"


@pytest.mark.parametrize(("found", "purge"), absent_cells(), ids=lambda part: part)
def test_absent(alone: Stage, found: str, purge: str) -> None:
    here = set_up(alone, found)
    row = wanted_when_absent(*_as_absent(found, purge))
    if purge == "yes, the market's expiration is over":
        here.pass_time(EXPIRATION + 1)
    options = {"state": "absent", "purge": purge != "no"}
    check, real = pair(here, **options)
    both_as(row, check, real)
    assert here.books().active == []
    check, real = pair(here, **options)
    # What was ended now leaves an account, which is too young to be closed.
    late = "warning" if row.done == "end" and options["purge"] else ""
    both_as(row._replace(done="", said=late if row.done else row.said), check, real)


def addressed() -> list[str]:
    """What has an account; on a real node one of each state."""
    every = [found for found, how in FOUND.items() if how.state != "none" and not (REAL and how.alone)]
    first = {FOUND[found].state: found for found in reversed(every)}
    return sorted(first.values()) if REAL and not EVERY else every


@pytest.mark.parametrize("found", addressed())
def test_removed_by_its_address(alone: Stage, found: str) -> None:
    here = set_up(alone, found)
    (address,) = here.jobs
    row = wanted_when_absent(FOUND[found].word, "no")
    options = {"state": "absent", "name": None, "id": str(address)}
    check, real = pair(here, **options)
    both_as(row, check, real)
    assert here.books().active == []
    check, real = pair(here, **options)
    both_as(row._replace(done="", said="" if row.done else row.said), check, real)


def test_a_job_is_ended_and_older_ones_are_closed(alone: Stage) -> None:
    """Two that are over, one of them old enough to be closed, and one that runs."""
    here = set_up(alone, "completed")
    here.pass_time(EXPIRATION + 1)
    for result in (FAILURE, None):
        job, host = here.poster.post(rerun="finished"), here.host()
        host.work()
        if result is not None:
            host.finish(job, here.stage.pin(result))
    here.pass_time(1)
    options = {"state": "absent", "purge": True}
    check, real = pair(here, **options)
    assert kinds_of(real) == ["end", "clean"]
    assert check.values["diff"] == real.values["diff"]
    assert check.values["changed"]
    assert len(check.warnings) == len(real.warnings) == 1
    here.pass_time(EXPIRATION + 1)
    check, real = pair(here, **options)
    assert kinds_of(real) == ["clean", "clean"]
    assert check.values["diff"] == real.values["diff"]
    check, real = pair(here, **options)
    assert (check.values["changed"], kinds_of(real), real.warnings, here.jobs) == (False, [], [], [])
