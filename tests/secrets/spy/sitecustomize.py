"""Loaded by every Python that a test run starts: writes to a file what would go to syslog, and lets a task crash when asked to."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os

_FILE = os.environ.get("SPY_FILE")
if _FILE:
    import syslog

    def _write(*arguments: object) -> None:
        with open(str(_FILE), "a", encoding="utf-8", errors="surrogateescape") as file:
            file.write(f"syslog: {arguments[-1]}\n")

    syslog.syslog = _write

if "SPY_CRASH" in os.environ:
    import asyncio

    def _crash(main: object, **_keywords: object) -> None:
        main.close()
        secret = os.environ["SPY_CRASH"]
        try:
            raise KeyError(secret)
        except KeyError as error:
            raise RuntimeError(f"no such thing: {secret}") from error

    asyncio.run = _crash
    asyncio.Runner.run = lambda _self, main, **keywords: _crash(main, **keywords)
