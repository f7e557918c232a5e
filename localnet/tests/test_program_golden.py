"""The jobs program gives the recorded results of the real one: error, log lines, and every account, byte for byte."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest
from recordings import NAMES, RECORDED, account_of, comparable, errors, sent
from solders.pubkey import Pubkey


def case_id(value: Any) -> str:
    return str(value["id"]) if isinstance(value, dict) else str(value)


@pytest.mark.parametrize(("recording", "case"), [(name, case) for name in RECORDED for case in RECORDED[name]["cases"]], ids=case_id)
def test_recorded_result(recording: str, case: dict[str, Any]) -> None:
    have, logs, svm = sent(recording, case)
    assert have == case["result"].get("err"), logs
    assert errors(logs) == errors(case["logs"])
    assert comparable(logs) == comparable(case["logs"])
    for key, before in case["setup"].items():
        expected = account_of(case["after"].get(key, before))
        found = svm.get_account(Pubkey.from_string(key))
        if expected is None or (expected.lamports == 0 and not expected.data):
            assert found is None or found.lamports == 0, NAMES.get(key, key)
            continue
        assert found is not None, NAMES.get(key, key)
        assert (found.lamports, found.owner) == (expected.lamports, expected.owner), NAMES.get(key, key)
        assert found.data == expected.data, NAMES.get(key, key)


def test_all_recordings_are_replayed() -> None:
    assert {name: len(recorded["cases"]) for name, recorded in RECORDED.items()} == {"golden": 435, "golden_fee10": 73}
