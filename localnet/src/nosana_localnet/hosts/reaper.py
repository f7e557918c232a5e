"""A small process that outlives the network by a moment: when the network is killed, it ends what ops have left running.

It reads lines from its standard input, `+THING` when something begins and `-THING` when it is gone. A thing is `group NUMBER HOME`, a process
group with its directory, or `label ENGINE LABEL`, the containers, networks and volumes that bear a label. The pipe closes when the network is
gone, however that happened.
"""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time

COMMAND_SECONDS = 60.0
STRAGGLER_SECONDS = 2.0
# How to remove what an engine has made, in the order in which it can be.
_REMOVE = {
    "container": (["--all"], ["rm", "--force", "--volumes"]),
    "network": ([], ["network", "rm"]),
    "volume": ([], ["volume", "rm", "--force"]),
}


def remove(engine: str, label: str) -> None:
    """Ends and removes the containers, networks and volumes that bear a label."""
    for kind, (everything, words) in _REMOVE.items():
        found = _output([engine, kind, "ls", "--quiet", "--filter", f"label={label}", *everything]).split()
        if found and kind == "container":
            _output([engine, "kill", *found])  # `rm` alone would wait for those that do not listen to SIGTERM
        if found:
            _output([engine, *words, *found])


def _output(command: list[str]) -> str:
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        return subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False
        ).stdout
    return ""


def _end_group(number: int, home: str) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(number, signal.SIGKILL)
    if home:
        shutil.rmtree(home, ignore_errors=True)


def main() -> None:
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)  # it ends with the pipe
    things: dict[str, None] = {}
    for line in sys.stdin:
        thing = line[1:].rstrip("\n")
        if line.startswith("+"):
            things[thing] = None
        else:
            things.pop(thing, None)
    words = [thing.split(" ", 2) for thing in things]
    for kind, number, home in words:
        if kind == "group":
            _end_group(int(number), home)
    labels = [(engine, label) for kind, engine, label in words if kind == "label"]
    for engine, label in labels:
        remove(engine, label)
    if labels:
        time.sleep(STRAGGLER_SECONDS)  # a container that the network was just starting when it was killed
    for engine, label in labels:
        remove(engine, label)


if __name__ == "__main__":
    main()
