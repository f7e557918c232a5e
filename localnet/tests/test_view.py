"""What the page makes of other people's text, results and transactions: plain, bounded, in words."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from typing import Any

import pytest
from solders.pubkey import Pubkey

from nosana_localnet.dashboard import difference
from nosana_localnet.explain import error, instruction, plain
from nosana_localnet.ledger import SYSTEM_PROGRAM
from nosana_localnet.view import LOG_CHARACTERS, MAX_LINES, Document, amount, ops_of_result, verdict


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("\x1b]0;title\x07a\x1b]8;;http://x\x1b\\b", "ab"),
        ("a\tb\n", "a    b"),
        ("\x9b31mx\x00\x7f\u2066y", "31mxy"),
        ("x" * 400, "x" * 299 + "…"),
        ({"no": "text"}, ""),
        ("\ud800", ""),
    ],
)
def test_text_becomes_one_plain_line(text: Any, wanted: str) -> None:
    assert plain(text) == wanted


@pytest.mark.parametrize(
    "result",
    [
        {},
        {"opStates": 5},
        {"opStates": [None, {"logs": "x", "errors": {}, "exitCode": "0", "status": [], "diagnostics": []}]},
        {"opStates": [{"logs": [5, {"log": None}, {"log": {}, "type": 3}], "exitCode": 10**400, "errors": [{"message": 5}]}]},
        {"opStates": [{"status": "success", "exitCode": 0}], "status": "init error"},
    ],
)
def test_a_result_that_somebody_made_up_is_borne_and_never_a_success(result: Document) -> None:
    assert json.dumps(ops_of_result(result))
    assert verdict(result, is_service=False) == "failed"


def test_logs_are_bounded() -> None:
    many = [{"log": f"{number} " + "x" * 250, "type": "stdout"} for number in range(5000)]
    ops = ops_of_result({"opStates": [{"logs": many}, {"logs": many}]})
    shown = [text for op in ops for _kind, text in op["lines"]]
    assert len(shown) <= 2 * MAX_LINES
    assert sum(map(len, shown)) <= LOG_CHARACTERS
    assert shown[len(ops[0]["lines"]) - 1].startswith("4999 ")
    assert ops[0]["earlier_lines"] == 5000 - len(ops[0]["lines"])


def test_the_end_of_a_service_is_no_failure() -> None:
    op = {"status": "success", "exitCode": 0, "diagnostics": {"reason": {"jobExpired": True}}}
    result = {"status": "success", "opStates": [op]}
    assert [verdict(result, is_service=service) for service in (True, False)] == ["ran its full time", "timed out"]


@pytest.mark.parametrize("data", [b"", b"\2", b"\2\0\0\0", b"\xff" * 20])
def test_an_instruction_that_nobody_knows_is_shown_all_the_same(data: bytes) -> None:
    for program in (SYSTEM_PROGRAM, Pubkey.new_unique()):
        assert isinstance(instruction(program, data, [])["name"], str)


def test_errors_are_told_in_words() -> None:
    assert error({"InstructionError": [0, {"Custom": 6005}]}, []) == "JobNotExpired: The job has not yet expired."
    assert error({"InstructionError": [0, {"Custom": 1}]}, []) == '{"Custom": 1}'
    assert error("BlockhashNotFound", []) == "BlockhashNotFound"


def test_amounts_are_exact() -> None:
    assert [amount(units, 9) for units in (0, 1, 10**9, 2**63)] == ["0", "0.000000001", "1", "9223372036.854775808"]


def test_only_what_changed_is_sent() -> None:
    before = {"slot": 1, "time": 1, "hosts": [1], "jobs": [{"address": "a", "x": 1}, {"address": "b", "x": 1}], "transactions": []}
    now = {"slot": 2, "time": 2, "hosts": [1], "jobs": [{"address": "c"}, {"address": "a", "x": 2}], "transactions": []}
    assert difference(before, now) == {"jobs": {"order": ["c", "a"], "changed": [{"address": "c"}, {"address": "a", "x": 2}]}}
    assert difference(now, now | {"slot": 3, "time": 3}) == {}
