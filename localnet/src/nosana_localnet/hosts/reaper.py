"""A small process that outlives the network by a moment: when the network is killed, it ends the ops that run as processes.

It reads process group numbers from its standard input, `+N` when an op begins and `-N` when it has ended. The pipe closes when the
network is gone, however that happened.
"""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys


def main() -> None:
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)  # it ends with the pipe
    groups: dict[int, str] = {}
    for line in sys.stdin:
        group, _, home = line[1:].rstrip("\n").partition(" ")
        if line.startswith("+"):
            groups[int(group)] = home
        else:
            groups.pop(int(group), None)
    for number, home in groups.items():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(number, signal.SIGKILL)
        if home:
            shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main()
