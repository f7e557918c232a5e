"""`make help` is the list that a newcomer sees: every habit once, in a group, on one line that fits, and the parts of `make test` are its parts."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
import subprocess
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
MAKEFILE = (CHECKOUT / "Makefile").read_text(encoding="utf-8")
COLUMNS = 112


def printed() -> str:
    return subprocess.run(["make", "help"], cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout


def targets(text: str) -> list[str]:
    return re.findall(r"^  make ([a-z-]+) +\S", text, re.MULTILINE)


def test_every_target_that_says_what_it_does_is_listed_once() -> None:
    described = re.findall(r"^([a-z-]+):.* ## ", MAKEFILE, re.MULTILINE)
    assert len(described) > 40
    assert sorted(targets(printed())) == sorted(described)


def test_every_line_fits() -> None:
    assert [line for line in printed().splitlines() if len(line) > COLUMNS] == []


def test_the_list_begins_with_what_a_newcomer_wants() -> None:
    first = targets(printed())[:4]
    assert first == ["help", "demo", "test", "docs"]


def test_the_parts_of_make_test_are_run_by_it() -> None:
    (listed,) = re.findall(r"^ALL_TESTS := ((?:.*\\\n)*.*)$", MAKEFILE, re.MULTILINE)
    run = {*listed.replace("\\", "").split(), *re.findall(r"test-\S+", MAKEFILE.partition("\ntest-ansible: ")[2].partition("\n\n")[0])}
    (parts,) = re.findall(r"Parts of make test:\n((?:  make .*\n)+)", printed())
    assert len(targets(parts)) > 10
    assert set(targets(parts)) <= run
