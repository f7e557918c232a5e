"""A callback that writes every result that callbacks are given, as JSON: what any logging plugin would see."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: spy_dump
type: notification
short_description: write every result
description: Writes every result as JSON.
"""


class CallbackModule(CallbackBase):
    """Every kind of result."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "spy_dump"
    CALLBACK_NEEDS_ENABLED = True

    def _dump(self, kind: str, result: Any) -> None:
        content = result.result if hasattr(result, "result") else result._result
        with open(os.environ["SPY_RESULTS"], "a", encoding="utf-8") as file:
            file.write(json.dumps([kind, result.task.get_name() if hasattr(result, "task") else "", content], default=repr) + "\n")

    def v2_runner_on_ok(self, result: Any) -> None:
        self._dump("ok", result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        self._dump("failed", result)

    def v2_runner_on_skipped(self, result: Any) -> None:
        self._dump("skipped", result)

    def v2_runner_item_on_ok(self, result: Any) -> None:
        self._dump("item ok", result)

    def v2_runner_item_on_failed(self, result: Any) -> None:
        self._dump("item failed", result)

    def v2_on_file_diff(self, result: Any) -> None:
        self._dump("diff", result)
