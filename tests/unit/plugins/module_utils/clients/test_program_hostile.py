"""Errors and log lines that a node made up: one sentence that may be printed, and details that may be returned."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.nosana.compute.plugins.module_utils._clients.program import program_error


def deep(levels: int) -> Any:
    value: Any = 0
    for _level in range(levels):
        value = [value]
    return value


CUSTOM = {"InstructionError": [0, {"Custom": 1}]}
ERRORS: list[tuple[Any, list[str]]] = [
    ("\x1b[2J" * 1000, []),
    (deep(100_000), []),
    ({"InstructionError": [deep(900), {"Custom": True}]}, []),
    ({"InstructionError": [0, deep(100_000)]}, []),
    ({"InstructionError": [10**30, {"Custom": 10**400}]}, []),
    ({"InstructionError": [0, "\u202e" * 1000]}, ["x\x07" * 10_000] * 30),
    (CUSTOM, [f"AnchorError Error Code: A. Error Number: {'9' * 5000}. Error Message: b."]),
    ({"InstructionError": [0, {"Custom": 7}]}, ["AnchorError Error Code: A. Error Number: 7. Error Message: " + "\x1b[31m" * 1000]),
    (CUSTOM, ["Transfer: insufficient lamports \x1b[2J" + "x" * 10_000]),
]


@pytest.mark.parametrize(("error", "logs"), ERRORS, ids=range(len(ERRORS)))
def test_made_up_errors(error: Any, logs: list[str]) -> None:
    found = program_error(error, logs, action="post the job")
    assert str(found).isprintable()
    assert len(str(found)) < 500
    assert len(json.dumps(found.details)) < 30_000


def test_numbers_that_are_none() -> None:
    found = program_error({"InstructionError": ["x", {"Custom": True}]}, [], action="post the job")
    assert found.details["number"] is None
    assert found.details["instruction"] is None
