"""A callback that writes every result, a line of JSON for each, to the file that RESULTS names."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: results
type: notification
short_description: write every result
description: Writes every result as JSON.
"""


class CallbackModule(CallbackBase):
    """Results of tasks and of loop items."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "results"
    CALLBACK_NEEDS_ENABLED = True

    def _write(self, kind: str, result: Any) -> None:
        task, content = (result.task, result.result) if hasattr(result, "task") else (result._task, result._result)
        with open(os.environ["RESULTS"], "a", encoding="utf-8") as file:
            file.write(json.dumps([task.name, kind, content], default=repr) + "\n")

    def v2_runner_on_ok(self, result: Any) -> None:
        self._write("ok", result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        self._write("failed", result)

    def v2_runner_on_skipped(self, result: Any) -> None:
        self._write("skipped", result)

    def v2_runner_item_on_ok(self, result: Any) -> None:
        self._write("item ok", result)

    def v2_runner_item_on_failed(self, result: Any) -> None:
        self._write("item failed", result)
