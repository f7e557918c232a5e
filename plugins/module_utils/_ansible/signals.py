"""Signals while a task waits: they end the waiting, so that there still is a result, rather than the process."""
# Copyright (c) 2026, The nosana.compute contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection and may change without notice.

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def signals_cancel() -> Iterator[None]:
    """Within, Ctrl-C and SIGTERM cancel the task that runs; before and afterwards they do what they did. In a thread they are not ours."""
    task = asyncio.current_task()
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    taken = []
    try:
        for number in _SIGNALS:
            if task is not None and before[number] is not None:
                try:
                    loop.add_signal_handler(number, task.cancel)
                except (ValueError, RuntimeError, NotImplementedError):
                    continue
                taken.append(number)
        yield
    finally:
        for number in taken:
            loop.remove_signal_handler(number)
            signal.signal(number, before[number])
