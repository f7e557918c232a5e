"""The tables of docs/transitions.md, as tests read them: of the plan alone here, of a whole chain in tests/lifecycle."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

DOCS = Path(__file__).parents[5] / "docs" / "transitions.md"

FOUND = ("nothing", "removed", "queued", "running", "stopped", "claimed", "dead host") + (
    "orphaned",
    "completed",
    "failed",
    "result unavailable",
)
WISHES = ("same", "longer", "shorter", "definition", "market", "node")
ON_CHANGE = ("replace", "fail", "ignore")
RERUN = ("never", "failed", "finished", "always")


class Row(NamedTuple):
    """One row of the table of state=present."""

    found: str
    wish: str
    on_change: str
    rerun: str
    done: str
    said: str


def rows(heading: str) -> Iterator[list[str]]:
    """The rows of the table below a heading, cell by cell."""
    section = DOCS.read_text(encoding="utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    for line in lines[2:]:
        yield [cell.strip() for cell in line.strip("|").split("|")]


PRESENT = [Row(*cells) for cells in rows("state: present")]


def wanted(found: str, wish: str, on_change: str, rerun: str) -> Row:
    """The first row that fits."""
    asked = (found, wish, on_change, rerun)
    return next(row for row in PRESENT if all(_fits(cell, value) for cell, value in zip(row, asked, strict=False)))


class AbsentRow(NamedTuple):
    """One row of the table of state=absent."""

    found: str
    purge: str
    done: str
    said: str


ABSENT = [AbsentRow(*cells) for cells in rows("state: absent")]


def wanted_when_absent(found: str, purge: str) -> AbsentRow:
    """The first row that fits. `purge`: no, or one of the two answers of the table."""
    return next(row for row in ABSENT if _fits(row.found, found) and row.purge in ("any", purge))


def _fits(cell: str, value: str) -> bool:
    return cell == "any" or value in cell.split(", ")
