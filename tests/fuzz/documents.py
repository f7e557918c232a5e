"""Documents that nobody meant: whole ones with damage anywhere, wild values, and lists in lists in lists."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import asyncio
import copy
import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

from hypothesis import strategies as st

from ansible_collections.nosana.compute.plugins.module_utils._clients.errors import NosanaError
from ansible_collections.nosana.compute.plugins.module_utils._clients.http import Response

UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
LONGEST_SENTENCE = 1500

CHARACTERS = st.characters(exclude_categories=())  # halves of characters, too
WORDS = st.sampled_from(
    ["init error", "container/run", "0.1", "container", "name", "web", "80"]
    + ["success", "failed", "stopped", "running", "init", "%%global.variables.PORT%%", "__spread__", "S3", "HF", "__proto__", "$ref"]
    + ["", " ", "\ud800", "\x1b[2J", "\x00", "\u202e", "a" * 300, "9" * 5000, "é😀"]
)
TEXTS = WORDS | st.text(CHARACTERS, max_size=20)
INTEGERS = (
    st.integers(-3, 70000) | st.integers() | st.sampled_from([2**31, 2**53 + 1, 2**63, 2**64, -(2**63) - 1, 10**308, 10**309, 10**4000])
)
NUMBERS = INTEGERS | st.floats() | st.sampled_from([0.0, -0.0, 1.0, 80.5, 1e21, 5e-324, float("nan"), float("inf")])
SCALARS = st.none() | st.booleans() | NUMBERS | TEXTS
WILD = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=8,
)
# What the answer to a request can hold: JSON, as Python reads it.
DEPTHS = st.sampled_from([1, 30, 62, 63, 64, 65, 66, 99, 101, 300, 480, 500])


def nested(levels: int, key: str | None, inside: Any = 0) -> Any:
    """Lists in lists, or dictionaries under one key."""
    value = inside
    for _level in range(levels):
        value = [value] if key is None else {key: value}
    return value


DEEP = st.builds(nested, DEPTHS, st.sampled_from([None, "a", "env", "password"]), st.sampled_from([0, "secret", "\ud800"]))


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every value in the document but itself."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, item in items for place in ((*path, key), *places(item, (*path, key)))]


@st.composite
def damaged(draw: st.DrawFn, wholes: list[Any]) -> Any:
    """One of these documents, with up to four things in it replaced, removed, added or swapped."""
    document = copy.deepcopy(draw(st.sampled_from(wholes)))
    for _turn in range(draw(st.integers(0, 4))):
        known = places(document)
        if not known:
            break
        *way, last = draw(st.sampled_from(known))
        target = document
        for part in way:
            target = target[part]
        what = draw(st.sampled_from(["replace", "replace", "word", "remove", "add", "deep", "twice"]))
        if what == "replace":
            target[last] = draw(WILD)
        elif what == "word":
            target[last] = draw(TEXTS)
        elif what == "remove":
            del target[last]
        elif what == "deep":
            target[last] = draw(DEEP)
            break  # the way to other places would lead through it
        elif isinstance(target, dict):
            target[draw(TEXTS)] = draw(WILD)
        else:
            target.append(copy.deepcopy(target[last]) if what == "twice" else draw(WILD))
    return document


def sentence(error: NosanaError) -> None:
    """What every error of ours keeps to: one line that may be printed, of a length that somebody reads."""
    text = str(error)
    assert text
    assert len(text) <= LONGEST_SENTENCE
    assert not UNPRINTABLE.search(text), ascii(text)
    assert "\n" not in text


class NoTime:
    """A clock that stands still and never sleeps."""

    def now(self) -> float:
        return 1_700_000_000.0

    def monotonic(self) -> float:
        return 0.0

    def random(self) -> float:
        return 0.5

    async def sleep(self, seconds: float) -> None:
        pass


class Answer:
    """In place of the HTTP client: every request gets this answer."""

    clock = NoTime()

    def __init__(self, body: bytes, status: int = 200) -> None:
        self._response = Response(status, {}, body, "Solana RPC node")

    async def request(self, _method: str, _url: str, read: Callable[[Response], Any], **_options: Any) -> Any:
        return read(self._response)


LOOP = asyncio.new_event_loop()


def run(question: Awaitable[Any]) -> Any:
    """The answer, or its error."""
    return LOOP.run_until_complete(question)  # type: ignore[arg-type]


def as_json(value: Any) -> bytes:
    """As JSON, as far as Python can write it; halves of characters escaped."""
    try:
        return json.dumps(value).encode()
    except (ValueError, RecursionError):  # an integer of thousands of digits
        return b'{"jsonrpc": "2.0", "id": 1, "result": ' + b"9" * 5000 + b"}"
