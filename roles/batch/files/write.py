"""Writes {name: text} from standard input as files of a directory, those that differ, and prints how many; one process for all of them."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import sys
from pathlib import Path

if __name__ == "__main__":
    directory = Path(sys.argv[1])
    directory.mkdir(parents=True, exist_ok=True)
    written = 0
    for name, text in json.load(sys.stdin).items():
        path, content = directory / name, text.encode("utf-8", "replace")
        if not path.is_file() or path.read_bytes() != content:
            part = directory / (name + ".part")
            part.write_bytes(content)
            part.replace(path)
            written += 1
    print(written)
