"""The decoders and their kept corpus, replayed, and each input cut and damaged: a value or one sentence, in bounded time and memory."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import random
import time
import tracemalloc

import corpus
import pytest
from decoders import DECODERS

MOST_SECONDS = 1.0  # the slowest takes some milliseconds
MOST_BYTES = 16 * 1024 * 1024
DAMAGED = 12


def damaged(data: bytes) -> list[bytes]:
    """The input with some bytes cut, changed, doubled; always the same ones."""
    dice = random.Random(data)
    found = []
    for _turn in range(DAMAGED):
        at = dice.randrange(len(data) + 1)
        what = dice.choice(["cut", "change", "double", "insert"])
        if what == "cut":
            found.append(data[:at])
        elif what == "change":
            found.append(data[:at] + bytes([dice.randrange(256)]) + data[at + 1 :])
        elif what == "double":
            found.append(data[:at] + data[at // 2 :])
        else:
            found.append(data[:at] + dice.choice([b"null", b"[", b'"\\ud800"', b"1e999", b"\xff" * 8, b"\0" * 8]) + data[at:])
    return found


@pytest.mark.parametrize("name", DECODERS)
def test_the_kept_corpus(name: str) -> None:
    inputs = corpus.read(name)
    understood = 0
    for data in inputs:
        begun = time.process_time()
        understood += DECODERS[name](data)
        for other in damaged(data):
            DECODERS[name](other)
        assert time.process_time() - begun < MOST_SECONDS * (1 + DAMAGED), corpus.line_of(data)
    assert understood, "nothing in the corpus is what the decoder is for"
    assert understood < len(inputs), "nothing in the corpus is anything else"


@pytest.mark.parametrize("name", DECODERS)
def test_memory_is_bounded(name: str) -> None:
    inputs = corpus.read(name)
    tracemalloc.start()
    try:
        for data in inputs:
            tracemalloc.reset_peak()
            before, _peak = tracemalloc.get_traced_memory()
            DECODERS[name](data)
            _now, peak = tracemalloc.get_traced_memory()
            assert peak - before < MOST_BYTES, corpus.line_of(data)
    finally:
        tracemalloc.stop()


def test_every_file_of_the_corpus_has_its_decoder() -> None:
    assert {file.stem for file in corpus.PLACE.iterdir()} == set(DECODERS)
