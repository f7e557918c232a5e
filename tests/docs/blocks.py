"""The fenced blocks of the documentation's pages, and what each mark after the language asks of a test.

```yaml NAME         a file of this name, which its first line says as well; ```python NAME too
```sh network        starts a local network, whose exported variables the blocks below it have
```sh run, fails     a command that succeeds, or that fails
```text shows        lines that the last command has printed, in this order; … stands for anything
```sh awx            runs in tests/awx, where there is a stand-in for AWX
```… eda             is looked at by tests/eda, where there is an ansible-rulebook; with a NAME behind it, a file of it
```sh elsewhere      cannot run in a test (it installs something, or belongs to another system)
"""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

PAGES = Path(__file__).resolve().parents[2] / "docs"
_FENCE = re.compile(r"^```(\S*)[ ]?(.*)\n((?:(?!```).*\n)*)```$", re.MULTILINE)
_RUN = ("yaml", "sh")
_IN_OTHER_TESTS = ("awx", "eda")


@dataclass(frozen=True)
class Block:
    """One block: its language, its mark, its text, and the line of the page where it begins."""

    language: str
    mark: str
    text: str
    line: int


def blocks(page: Path) -> list[Block]:
    """The blocks of a page, from the top."""
    text = page.read_text(encoding="utf-8")
    return [Block(found[1], found[2], found[3], text.count("\n", 0, found.start()) + 1) for found in _FENCE.finditer(text)]


def is_for_other_tests(block: Block) -> bool:
    """Whether tests/awx or tests/eda has it."""
    return block.mark.partition(" ")[0] in _IN_OTHER_TESTS


def indented(text: str) -> list[int]:
    """The lines of a page at which code begins that is only indented, and so has no mark."""
    lines = re.sub(_FENCE, lambda found: "." + "\n" * found[0].count("\n"), text).splitlines()
    return [number for number, (before, line) in enumerate(pairwise(lines), start=2) if not before.strip() and line.startswith("    ")]


def stories() -> list[Path]:
    """The pages with examples."""
    return [page for page in sorted(PAGES.glob("*.md")) if any(block.language in _RUN for block in blocks(page))]


def missing_line(expected: str, printed: str) -> str | None:
    """The first expected line that is not found in what was printed after the ones before it."""
    rest = printed.splitlines()
    for line in filter(None, map(str.rstrip, expected.splitlines())):
        pattern = re.compile(".*".join(map(re.escape, re.split(r" ?… ?|…", line))))
        found = next((index for index, candidate in enumerate(rest) if pattern.search(candidate)), None)
        if found is None:
            return line
        rest = rest[found + 1 :]
    return None
