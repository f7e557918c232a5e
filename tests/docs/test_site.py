"""The built site in a browser: every page fits a phone and a desktop, and nothing of it is asked of another machine; links.py sees dead links."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(CHECKOUT / "localnet" / "tests"), str(CHECKOUT / "tools" / "docs")]

from browser import PROGRAM, Page, browser  # noqa: E402
from links import dead  # noqa: E402

SITE = Path(os.environ.get("NOSANA_SITE", CHECKOUT / ".cache" / "docs" / "html"))
WIDTHS = (360, 1280)
LOADED = "document.readyState === 'complete' && location.href.endsWith({name!r})"
# What is wider than the page and does not scroll by itself.
WIDE = """(width => {
  return document.documentElement.scrollWidth <= width ? [] : [...document.querySelectorAll('body *')]
    .filter(each => each.getBoundingClientRect().right > width + 1 && !each.closest('.sidebar-drawer, .toc-drawer'))
    .slice(0, 3).map(each => each.outerHTML.slice(0, 120));
})"""
ELSEWHERE = "performance.getEntriesByType('resource').map(each => each.name).filter(name => !name.startsWith('file:'))"


def pages() -> list[Path]:
    found = sorted(SITE.rglob("*.html"))
    assert SITE / "index.html" in found, "make docs builds the site"
    return found


@pytest.mark.skipif(PROGRAM is None, reason="there is no chromium, chromium-browser or google-chrome on PATH")
def test_every_page_fits_a_phone_and_a_desktop_and_loads_nothing_from_elsewhere() -> None:
    assert asyncio.run(_look()) == []


async def _look() -> list[str]:
    troubles = []
    async with browser() as page:
        await page.open("about:blank")
        for file in pages():
            await page.call("Page.navigate", url=file.as_uri())
            await page.until(LOADED.format(name=file.name))
            for width in WIDTHS:
                await page.resize(width, 900)
                troubles += [f"{file.name} at {width} px: {wide}" for wide in await page.value(f"{WIDE}({width})")]
                await _keep(page, file, width)
            if "ERROR" in await page.value("document.querySelector('article').innerText"):
                troubles.append(f"{file.name} shows an error of the theme")
            troubles += [f"{file.name} loads {name}" for name in await page.value(ELSEWHERE)]
        troubles += page.problems
    return troubles


async def _keep(page: Page, file: Path, width: int) -> None:
    """Pictures for people, where NOSANA_PICTURES names a folder."""
    if place := os.environ.get("NOSANA_PICTURES"):
        Path(place).mkdir(parents=True, exist_ok=True)
        await page.screenshot(Path(place) / f"{file.parent.stem}-{file.stem}-{width}.png")


def test_every_plugin_has_its_page() -> None:
    names = {file.name for file in (SITE / "plugins").glob("*.html")}
    modules = {f"{file.stem}_module.html" for file in (CHECKOUT / "plugins" / "modules").glob("nosana_*.py")}
    filters = {f"{file.stem}_filter.html" for file in (CHECKOUT / "plugins" / "filter").glob("*.yml")}
    roles = {f"{folder.name}_role.html" for folder in (CHECKOUT / "roles").iterdir()}
    assert len(modules) >= 4
    assert len(filters) >= 2
    assert len(roles) >= 2
    assert modules | filters | roles | {"nosana_inventory.html", "job_lookup.html"} <= names


@pytest.mark.parametrize(
    ("body", "trouble"),
    [
        ('<a href="other.html#there">', None),
        ('<a href="other.html#gone">', "no such place"),
        ('<a href="gone.html">', "no such file"),
        ('<a href="#gone">', "no such place"),
        ('<img src="https://example.org/a.png">', "loaded from elsewhere"),
        ('<a href="https://example.org/a">', None),
        ('<a href="https:/example.org/a">', "no well-formed address"),
        ('<a href="https://github.com/nosana-ci/nosana.compute/blob/main/gone.md">', "no such file in the repository"),
    ],
)
def test_a_dead_link_is_seen(tmp_path: Path, body: str, trouble: str | None) -> None:
    (tmp_path / "other.html").write_text('<h1 id="there">', encoding="utf-8")
    (tmp_path / "index.html").write_text(body, encoding="utf-8")
    found = dead(tmp_path)
    assert len(found) == (trouble is not None)
    assert trouble is None or trouble in found[0]


def test_quotes_stay_as_they_are_printed() -> None:
    """A sentence of the page is what a task has said, letter by letter, so that it is found."""
    page = (SITE / "troubleshooting.html").read_text(encoding="utf-8")
    assert "such as 4090 or 'rtx 3060', of at most" in page
    assert "\u2019" not in page
