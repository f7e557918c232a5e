"""Documents that are too deep to be used, or hold what JSON does not have: one sentence, on the way in and on the way out."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from ansible_collections.nosana.compute.plugins.module_utils._clients.clock import SystemClock
from ansible_collections.nosana.compute.plugins.module_utils._clients.errors import InvalidInput, UnexpectedAnswer
from ansible_collections.nosana.compute.plugins.module_utils._clients.http import Http
from ansible_collections.nosana.compute.plugins.module_utils._clients.ipfs import Ipfs, cid_of, encode_document


def fetch(content: bytes) -> Any:
    async def run() -> Any:
        transport = httpx.MockTransport(lambda request: httpx.Response(200, content=content))
        async with Http(SystemClock(), attempts=1, transport=transport) as http:
            return await Ipfs(http, "http://ipfs.example/", "http://ipfs.example/", None).fetch_json(cid_of(content))

    return asyncio.run(run())


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_a_document_may_be_a_hundred_levels_deep_and_no_more(opening: bytes, closing: bytes) -> None:
    assert encode_document(fetch(opening * 100 + b"1" + closing * 100)) == opening * 100 + b"1" + closing * 100
    for levels in (101, 900, 100_000):
        with pytest.raises(UnexpectedAnswer, match=r"100 levels deep|no JSON"):
            fetch(opening * levels + b"1" + closing * levels)


@pytest.mark.parametrize("content", [b"NaN", b"[Infinity]", b'{"a": -Infinity}', b"9" * 5000, b"\xff"])
def test_what_only_python_takes_for_json_is_none(content: bytes) -> None:
    with pytest.raises(UnexpectedAnswer, match="no JSON document"):
        fetch(content)


def test_a_wide_document_is_not_a_deep_one() -> None:
    assert len(fetch(b"[" + b"[1]," * 10_000 + b"[1]]")) == 10_001


def test_what_cannot_be_pinned_is_said() -> None:
    deep: Any = []
    for _level in range(100_000):
        deep = [deep]
    for document in (deep, {"a": {1, 2}}, [b"bytes"]):
        with pytest.raises(InvalidInput, match="The document"):
            encode_document(document)
