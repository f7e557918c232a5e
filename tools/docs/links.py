"""Looks for dead links in a built site: every link and picture inside it must exist, anchors included, and every other must be well formed.

usage: python tools/docs/links.py HTML
"""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

CHECKOUT = Path(__file__).resolve().parents[2]
REPOSITORY = "https://github.com/nosana-ci/nosana.compute/blob/main/"
_LINKS = {"a": "href", "link": "href", "img": "src", "script": "src", "iframe": "src", "object": "data"}
# Machines that a page loads from would be asked by everyone who reads it; a link for people is another thing.
_LOADED = {"img", "script", "iframe", "object"}
_HOST = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+|127\.0\.0\.1(:\d+)?|localhost(:\d+)?")


class Page(HTMLParser):
    """The anchors and the links of one page, each link with its element."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[tuple[str, str]] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.anchors.update(filter(None, (given.get("id"), given.get("name"))))
        if (link := given.get(_LINKS.get(tag, ""))) is not None:
            self.links.append((tag, link))


def dead(site: Path) -> list[str]:
    """One line for each link that leads nowhere."""
    pages = {path: Page(path) for path in sorted(site.resolve().rglob("*.html"))}
    return [
        f"{path.relative_to(site.resolve())}: {link}: {trouble}"
        for path, page in pages.items()
        for tag, link in page.links
        if (trouble := _trouble(pages, path, tag, link))
    ]


def _trouble(pages: dict[Path, Page], path: Path, tag: str, link: str) -> str | None:
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        if link.startswith(REPOSITORY) and not (CHECKOUT / parts.path.removeprefix(urlsplit(REPOSITORY).path)).exists():
            return "there is no such file in the repository"
        if parts.scheme == "data" and tag in _LOADED:
            return None
        if tag in _LOADED:
            return "is loaded from elsewhere"
        if parts.scheme not in ("http", "https") or not _HOST.fullmatch(parts.netloc.lower()) or " " in link:
            return "is no well-formed address"
        return None
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if not target.is_file():
        return "there is no such file"
    if parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].anchors:
        return "there is no such place on that page"
    return None


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    found = dead(Path(arguments[0]))
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
