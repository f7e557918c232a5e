"""The kept inputs of the decoders: corpus/NAME.txt, one input a line, as a JSON string whose characters are the bytes."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

PLACE = Path(__file__).with_name("corpus")


def read(name: str) -> list[bytes]:
    """The inputs of a decoder, in the order of the file."""
    return [parse(line) for line in (PLACE / f"{name}.txt").read_text("ascii").splitlines() if line.startswith('"')]


def write(name: str, inputs: Iterable[bytes]) -> None:
    """Keeps these, the shortest first; the heading of the file stays."""
    file = PLACE / f"{name}.txt"
    heading = [line for line in file.read_text("ascii").splitlines() if line.startswith("#")]
    file.write_text("\n".join([*heading, *map(line_of, sorted(set(inputs), key=lambda each: (len(each), each)))]) + "\n", "ascii")


def line_of(data: bytes) -> str:
    """One input as it stands in the file."""
    return json.dumps(data.decode("latin-1"))


def parse(line: str) -> bytes:
    """And back."""
    text: str = json.loads(line)
    return text.encode("latin-1")
