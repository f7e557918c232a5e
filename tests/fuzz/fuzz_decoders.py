"""Gives one decoder what atheris makes up, beginning with its corpus: fuzz_decoders.py NAME PLACE [--seconds N] [--keep CORPUS].

What is found is written below PLACE. An input that breaks the decoder is shown as the line to add to the corpus, and the exit code is not 0.
--keep puts the shortest new inputs, each of which reached what none before it did, into that corpus.
"""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import sys
import time
from pathlib import Path

import atheris
import corpus

LONGEST_BYTES = 4096  # of an input; bounds on size have tests of their own
LONGEST_KEPT_BYTES, MOST_KEPT = 512, 60
SLOWEST_SECONDS, MOST_MEGABYTES = 5, 2048
# What JSON is made of, so that atheris need not find each letter of it.
WORDS = '{" ": [ ] { } , " null true 1e999 -1 NaN \\\\u001b \\\\ud800 result error value'


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    parser.add_argument("place", type=Path)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--keep", type=Path)
    arguments = parser.parse_args()
    place = arguments.place / arguments.name
    new, kept = place / "new", place / "kept"
    for directory in (new, kept):
        directory.mkdir(parents=True, exist_ok=True)
    for old in (*kept.iterdir(), *place.glob("*-*")):
        old.unlink()
    for data in corpus.read(arguments.name):
        (kept / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)
    words = place / "words"
    words.write_text("".join(f'"{word.replace(chr(34), chr(92) + chr(34))}"\n' for word in WORDS.split()), "ascii")
    bounds = [f"-max_len={LONGEST_BYTES}", f"-timeout={SLOWEST_SECONDS}", f"-rss_limit_mb={MOST_MEGABYTES}", f"-artifact_prefix={place}/"]
    begun = time.monotonic()
    code = _in_process(
        arguments.name, [*bounds, "-verbosity=0", f"-max_total_time={arguments.seconds}", f"-dict={words}", str(new), str(kept)]
    )
    broken = sorted(place.glob("*-*"))
    for file in broken:
        print(
            f"{file.name.partition('-')[0]}: add this line to tests/fuzz/corpus/{arguments.name}.txt:\n{corpus.line_of(file.read_bytes())}"
        )
    print(
        f"{arguments.name}: {time.monotonic() - begun:.0f} s, {len(list(new.iterdir()))} inputs found, {len(broken)} that break it",
        flush=True,
    )
    if code == 0 and not broken and arguments.keep is not None:
        corpus.PLACE = arguments.keep
        _keep(arguments.name, new)
    return 1 if code or broken else 0


def _keep(name: str, new: Path) -> None:
    """The kept ones stay, and the shortest of the new ones come in: each has reached what none before it did."""
    known = corpus.read(name)
    found = sorted({file.read_bytes() for file in new.iterdir()} - set(known), key=len)
    corpus.write(name, [*known, *[data for data in found if len(data) <= LONGEST_KEPT_BYTES][: max(0, MOST_KEPT - len(known))]])


def _in_process(name: str, options: list[str]) -> int:
    """atheris ends the process that it runs in."""
    process = multiprocessing.get_context("spawn").Process(target=_fuzz, args=(name, options))
    process.start()
    process.join()
    return process.exitcode or 0


def _fuzz(name: str, options: list[str]) -> None:
    with atheris.instrument_imports(include=["ansible_collections"], enable_loader_override=False):
        import decoders
    atheris.Setup([sys.argv[0], *options], lambda data: decoders.DECODERS[name](data) and None)
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
