"""Which names a loop comes to next, guessed from how the present item's name came about; a wrong guess costs nothing but a needless question."""
# Copyright (c) 2026, The nosana.compute contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection and may change without notice.

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

# What may be worked out a second time: anything but what looks elsewhere, because that may have consequences.
_LOOKS_ELSEWHERE = re.compile(r"\b(lookup|query|q)\s*\(")
_DEEPEST = 3


def may_be_repeated(loop: Any) -> bool:
    """Whether a task's loop, a list or a template, gives the same when it is worked out again, and does nothing else."""
    return loop is not None and not _LOOKS_ELSEWHERE.search(str(loop))


def next_names(name: str, item: Any, items: Sequence[Any], *, most: int) -> list[str]:
    """The names of the items after the present one, as far as they follow from it: some text of the item is its name, or a part of it."""
    following = list(items[items.index(item) + 1 :])[:most] if item in items else []
    for path, text in _texts(item):
        place = _place(text, name) if text else None
        if place is not None:
            before, after = name[: place.start()], name[place.end() :]
            found = [_at(other, path) for other in following]
            return [f"{before}{other}{after}" for other in found if other is not None]
    return []


def _place(text: str, name: str) -> re.Match[str] | None:
    """Where a text stands in a name, best as a word of its own."""
    text = re.escape(text)
    return re.search(rf"(?<![^\W_]){text}(?![^\W_])", name) or re.search(text, name)


def _texts(item: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """The texts and numbers of an item with where they stand, the longest first: the one that is a name rather than a part of it."""
    found = list(_all_texts(item, path))
    yield from sorted(found, key=lambda each: -len(each[1]))


def _all_texts(item: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(item, Mapping) and len(path) < _DEEPEST:
        for key, value in item.items():
            yield from _all_texts(value, (*path, str(key)))
    elif isinstance(item, (str, int)) and not isinstance(item, bool):
        yield path, str(item)


def _at(item: Any, path: tuple[str, ...]) -> str | None:
    for key in path:
        if not isinstance(item, Mapping) or key not in item:
            return None
        item = item[key]
    return str(item) if isinstance(item, (str, int)) and not isinstance(item, bool) else None
