"""The fenced blocks of the documentation's pages, and what each mark after the language asks of a test.

```yaml NAME         a file of this name
```sh network        starts a local network, whose exported variables the blocks below it have
```sh run, fails     a command that succeeds, or that fails
```text shows        lines that the last command has printed, in this order; … stands for anything
```sh elsewhere      cannot run in a test (it installs something, or belongs to another system)
"""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

PAGES = Path(__file__).resolve().parents[2] / "docs"
_FENCE = re.compile(r"^```(\S*)[ ]?(.*)\n((?:(?!```).*\n)*)```$", re.MULTILINE)
_RUN = ("yaml", "sh")


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
