"""Builds the documentation site: the pages of docs/, and a reference of every plugin from its own documentation. Prints where it is.

usage: python tools/docs/build.py TREE PLACE

TREE holds ansible_collections/nosana/compute, PLACE becomes the folder of the site. Nothing is fetched; every warning and every dead link
is an error.
"""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
REFERENCE = ("--use-current", "--squash-hierarchy", "--fail-on-error", "--no-indexes")


def main(arguments: list[str]) -> int:
    if len(arguments) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    tree, place = (Path(argument).resolve() for argument in arguments)
    source, html = place / "source", place / "html"
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(CHECKOUT / "docs", source)
    for name in ("conf.py", "site.css"):
        shutil.copy(CHECKOUT / "tools" / "docs" / name, source)
    (source / "plugins").mkdir(mode=0o755)
    programs = Path(sys.executable).parent
    environment = os.environ | {"ANSIBLE_COLLECTIONS_PATH": str(tree), "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
    steps: tuple[list[str | Path], ...] = (
        [
            programs / "antsibull-docs",
            "collection",
            "--use-current",
            "--squash-hierarchy",
            "--fail-on-error",
            "--no-indexes",
            "--dest-dir",
            source / "plugins",
            "nosana.compute",
        ],
        [programs / "sphinx-build", "-q", "-W", "--keep-going", "-n", "-b", "html", source, html],
        [sys.executable, CHECKOUT / "tools" / "docs" / "links.py", html],
    )
    for step in steps:
        done = subprocess.run(step, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode:
            print(done.stdout, file=sys.stderr)
            return 1
    print(html / "index.html")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
