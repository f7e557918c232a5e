"""While a task waits, a signal cancels it; before and afterwards it does what it did."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import asyncio
import os
import signal
import threading

import pytest

from ansible_collections.nosana.compute.plugins.module_utils._ansible.signals import signals_cancel


async def hit(number: signal.Signals) -> str:
    try:
        with signals_cancel():
            os.kill(os.getpid(), number)
            await asyncio.sleep(20)
    except asyncio.CancelledError:
        return "cancelled"
    return "went on"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_a_signal_cancels_the_task(number: signal.Signals) -> None:
    assert asyncio.run(hit(number)) == "cancelled"


def test_others_handlers_are_theirs_again() -> None:
    calls: list[int] = []
    before = {number: signal.signal(number, lambda got, _frame: calls.append(got)) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        assert asyncio.run(hit(signal.SIGTERM)) == "cancelled"
        assert calls == []
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
        assert calls == [signal.SIGTERM, signal.SIGINT]
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_ctrl_c_after_the_wait_is_what_it_is_everywhere() -> None:
    async def waits_and_goes_on() -> None:
        with signals_cancel():
            pass
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.sleep(20)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
    try:
        with pytest.raises(KeyboardInterrupt):
            asyncio.run(waits_and_goes_on())
    finally:
        signal.signal(signal.SIGINT, before)


def test_in_a_thread_signals_are_left_alone() -> None:
    done: list[bool] = []

    async def waits() -> None:
        with signals_cancel():
            done.append(True)

    thread = threading.Thread(target=lambda: asyncio.run(waits()))
    thread.start()
    thread.join()
    assert done == [True]
