"""A reader of the documentation: a folder and an environment in which everything is installed and nothing is set, and a local network."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

PATIENCE_SECONDS = 120
# A reader's nosana-localnet, but ops run as processes, the port is free, and nothing is kept in the home of whoever tests.
WRAPPER = """#!/bin/sh
command="$1"; shift
case "$command" in
  start) set -- --runner process --port 0 --wallet "{place}/wallet.json" "$@" ;;
  run) set -- --runner process "$@" ;;
  *) set -- "$@" --port "${{NOSANA_RPC_URL##*:}}" ;;
esac
exec "{program}" "$command" "$@"
"""


def surroundings(place: Path) -> dict[str, str]:
    """The environment of a reader whose home is `place`."""
    program = shutil.which("nosana-localnet")
    assert program is not None
    programs = place / "bin"
    programs.mkdir()
    wrapper = programs / "nosana-localnet"
    wrapper.write_text(WRAPPER.format(program=program, place=place), encoding="utf-8")
    wrapper.chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("NOSANA_")}
    return kept | {
        "ANSIBLE_HOME": str(place / "ansible"),
        "ANSIBLE_NOCOLOR": "1",
        "NOSANA_CACHE": str(place / "cache"),
        "PATH": f"{programs}{os.pathsep}{kept['PATH']}",
        "PYTHONUNBUFFERED": "1",  # a terminal shows lines of both streams as they come
    }


@contextlib.contextmanager
def network(command: str, place: Path, environment: dict[str, str]) -> Iterator[dict[str, str]]:
    """Runs what starts a network until the block ends; yields the variables that it tells the reader to export."""
    with subprocess.Popen(["sh", "-c", f"exec {command}"], cwd=place, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            exported: dict[str, str] = {}
            for line in process.stdout or ():
                if found := re.fullmatch(r"export (\w+)=(.*)\n", line):
                    exported[found[1]] = found[2]
                if line.startswith("Ctrl-C"):
                    break
            assert exported, "the network did not start"
            yield exported
        finally:
            process.terminate()
            process.communicate()


def run(command: list[str], place: Path, environment: dict[str, str]) -> tuple[int, str]:
    """The command's exit code, and what it has printed."""
    done = subprocess.run(
        command,
        cwd=place,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    return done.returncode, done.stdout
