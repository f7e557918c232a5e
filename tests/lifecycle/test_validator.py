"""The real node's surroundings, without the real node: what it is given to begin with, and what is said when it does not come up."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
import validator

from nosana_localnet import genesis
from nosana_localnet.ledger import NOS_MINT, Ledger

# Says how it was called, and ends as ordered or stays until it is ended.
FAKE = """#!/bin/sh
echo "$@"
echo $$ > "$0.pid"
{then}
"""
PROGRAM = genesis.JOBS_PROGRAM


def fake(directory: Path, then: str) -> str:
    command = directory / "fake"
    command.write_text(FAKE.format(then=then), encoding="utf-8")
    command.chmod(0o755)
    return str(command)


def test_a_node_that_ends_at_once(tmp_path: Path) -> None:
    ledger = Ledger(time.time)
    genesis.begin(ledger)
    node = validator.running(fake(tmp_path, "echo no such option >&2; exit 1"), tmp_path / "node", ledger, {PROGRAM: b"\x7fELF"})
    with pytest.raises(AssertionError, match=r"The validator did not come up; it said: (.|\n)*no such option"), node:
        pass
    said = (tmp_path / "node" / "log").read_text(encoding="utf-8").splitlines()[0].removeprefix("--").split(" --")
    assert f"bpf-program {PROGRAM} {tmp_path / 'node' / str(PROGRAM)}.so" in said
    assert "bind-address 127.0.0.1" in said
    files = {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in (tmp_path / "node" / "accounts").iterdir()}
    assert {name: entry["pubkey"] for name, entry in files.items()} == {name: name for name in files}
    assert {str(NOS_MINT), *(str(market.address) for market in genesis.MARKETS)} < set(files)
    assert str(PROGRAM) not in files


def test_a_node_that_does_not_come_up_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validator, "START_SECONDS", 1.0)
    command = fake(tmp_path, "exec sleep 600")
    node = validator.running(command, tmp_path / "node", Ledger(time.time), {})
    with pytest.raises(AssertionError, match="The validator did not come up"), node:
        pass
    pid = int(Path(f"{command}.pid").read_text(encoding="utf-8"))
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert not (tmp_path / "node" / "chain").exists()


def test_without_the_node_there_is_no_test(tmp_path: Path) -> None:
    """The Makefile is the checkout's; the collection's tree has none."""
    makefile = next((parent / "Makefile" for parent in Path(__file__).resolve().parents if (parent / "Makefile").is_file()), None)
    if makefile is None:
        pytest.skip("no Makefile above")
    make = shutil.which("make")
    assert make is not None
    nothing_there = {"PATH": str(tmp_path)}
    ran = subprocess.run([make, "-C", makefile.parent, "test-validator"], env=nothing_there, capture_output=True, text=True, check=False)
    assert ran.returncode != 0
    assert "solana-test-validator is not on the PATH, so nothing was tested." in ran.stdout
    assert "cargo install agave-validator --version" in ran.stdout
