"""Copies the collection's part of a checkout to where Ansible expects it: TREE/ansible_collections/nosana/compute. Prints that path.

usage: python tools/tree.py TREE

ansible-test and mypy need that place; the checkout may lie anywhere. tests/output is kept between runs, because ansible-test caches there.
"""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
NOT_THE_COLLECTION = ("localnet/", "tools/", "examples/", ".ci/", "Makefile", "pyproject.toml", "REUSE.toml")
KEPT = Path("tests/output"), Path("tests/integration/integration_config.yml"), Path(".git")


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    place = Path(arguments[0]) / "ansible_collections" / "nosana" / "compute"
    wanted = set(files())
    for old in [path.relative_to(place) for path in place.rglob("*") if path.is_file()]:
        if old not in wanted and not any(old.is_relative_to(kept) for kept in KEPT):
            (place / old).unlink()
    for file in wanted:
        source, target = CHECKOUT / file, place / file
        if target.exists() and target.read_bytes() == source.read_bytes():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)
    if not (place / ".git").exists():
        # ansible-test asks git for the files; the checkout's own git ignores this place.
        subprocess.run(["git", "init", "--quiet"], cwd=place, check=True)
    print(place)
    return 0


def files() -> list[Path]:
    """What git knows or would add, as far as it is the collection's, and exists."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=CHECKOUT, capture_output=True, check=True, text=True).stdout.split("\0")
    return [Path(name) for name in listed if name and not name.startswith(NOT_THE_COLLECTION) and (CHECKOUT / name).is_file()]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
