"""Links of the pages that are read on the repository's own site: the README and its like lead to files and headings that are there."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
REPOSITORY = "https://github.com/nosana-ci/nosana.compute/blob/main/"
# The links of docs/ are those of the built site (tools/docs/links.py).
PAGES = [
    *CHECKOUT.glob("*.md"),
    CHECKOUT / "localnet" / "README.md",
    *CHECKOUT.glob("roles/*/README.md"),
    CHECKOUT / "extensions/audit/README.md",
]


def headings(text: str) -> set[str]:
    """The anchors that the repository's site makes of headings."""
    found = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in found}


def dead(page: Path, text: str) -> list[str]:
    """The links of a page that lead nowhere; those to other machines are not looked at."""
    troubles = []
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _hash, anchor = link.removeprefix(REPOSITORY).partition("#")
        if ":" in path:
            continue
        place = CHECKOUT if link.startswith(REPOSITORY) else page.parent
        target = (place / path).resolve() if path else page
        if not target.exists():
            troubles.append(f"{link}: there is no such file")
        elif anchor and anchor not in headings(text if target == page else target.read_text(encoding="utf-8")):
            troubles.append(f"{link}: there is no such heading")
    return troubles


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    assert dead(page, page.read_text(encoding="utf-8")) == []


def test_a_dead_link_is_seen() -> None:
    page = CHECKOUT / "README.md"
    assert len(PAGES) > 7
    assert dead(page, "# One, two\n[a](#one-two) [b](docs/index.md) [c](https://example.org/)") == []
    assert dead(page, "[a](#three)") == ["#three: there is no such heading"]
    assert dead(page, f"[a]({REPOSITORY}docs/nothing.md)") == [f"{REPOSITORY}docs/nothing.md: there is no such file"]
