"""The node says what a real node has said in the same conversation: the local network's node, and the real one itself.

`recorded-answers.json` was written by a run beside a real node, solana-test-validator 3.1.12 with our programs:
NOSANA_RECORD=$PWD/tests/lifecycle/recorded-answers.json make test-validator TESTS=tests/lifecycle/test_recorded_answers.py

Whoever changes the program of the local network does so again: its size and its compute units stand in the answers.
"""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
from pathlib import Path

from conversation import Conversation, comparable, differences
from stage import Stage

RECORDED = Path(__file__).with_name("recorded-answers.json")


def test_the_node_says_what_a_real_node_has_said(stage: Stage) -> None:
    conversation = Conversation(stage.chain, stage.faucet)
    conversation.hold()
    have = comparable(conversation.said)
    record = os.environ.get("NOSANA_RECORD")
    if record and os.environ.get("NOSANA_VALIDATOR"):
        lines = [f"{json.dumps(what)}: {json.dumps(answer, sort_keys=True)}" for what, answer in have.items()]
        Path(record).write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
        return
    want = json.loads(RECORDED.read_text(encoding="utf-8"))
    found = differences(have, want)
    assert not found, "\n".join([f"{len(found)} differences in {len(want)} answers:", *found])
