"""The action plugin and the module give the same result, field by field: one play, two networks that began alike, two ways."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from solders.keypair import Keypair

from nosana_localnet.server import Settings
from nosana_localnet.thread import running

HERE = Path(__file__).parent
TREE = os.environ["ANSIBLE_COLLECTIONS_PATH"]
BIN = Path(sys.executable).parent
CLOCK = 1_780_000_000.0
# What two runs of the same cannot have in common: each transaction holds a random number, so its signature differs.
SIGNATURE = re.compile(r"\b[1-9A-HJ-NP-Za-km-z]{86,88}\b")
# Items of loops, less the loops.
LOOPED = 2 + 2 + 5 - 3
# Of Ansible itself, or where a process that ran in between shows: how long a background task took.
VARYING = {"ansible_job_id", "results_file", "started", "finished", "_ansible_parsed"}


@dataclass(frozen=True)
class Way:
    """What a play gave: its results as (task, kind, result), and how many modules of ours Ansible started."""

    results: list[tuple[str, str, dict[str, Any]]]
    modules: int
    output: str


def other_python(directory: Path) -> Path:
    """The same Python under another name: to Ansible it is another interpreter, so the module is started."""
    path = directory / "bin" / "python"
    path.parent.mkdir()
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n', encoding="utf-8")
    path.chmod(0o755)
    return path


def play(directory: Path, interpreter: Path) -> Way:
    """Runs the play on a network of its own."""
    directory.mkdir()
    (directory / "play.yml").write_bytes((HERE / "play.yml").read_bytes())
    wallet, other = directory / "wallet.json", directory / "other.json"
    with running(Settings(port=0, runner="process", hosts={"nvidia-4090": 3}, clock=CLOCK)) as network:
        network.wallet(wallet, key=Keypair.from_seed(bytes(32)))
        network.wallet(other, key=Keypair.from_seed(bytes([1] * 32)), sol=2, nos=3)
        (directory / "open.json").write_bytes(wallet.read_bytes())
        (directory / "open.json").chmod(0o644)
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "NOSANA_"))},
            **network.environment(wallet),
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "HOME": str(directory),
            "RESULTS": str(directory / "results"),
            "ANSIBLE_COLLECTIONS_PATH": TREE,
            "ANSIBLE_CALLBACK_PLUGINS": str(HERE / "callback"),
            "ANSIBLE_CALLBACKS_ENABLED": "results",
            "ANSIBLE_NOCOLOR": "1",
        }
        command = [BIN / "ansible-playbook", "-vvv", "-e", f"ansible_python_interpreter={interpreter}", directory / "play.yml"]
        ran = subprocess.run(command, env=environment, cwd="/", capture_output=True, text=True, timeout=600, check=False)
        assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr[-4000:]
        own = {str(directory): "DIRECTORY", f":{network.network.port}": ":PORT", str(interpreter): "PYTHON"}
    lines = (directory / "results").read_text(encoding="utf-8")
    for text, stand_in in own.items():
        lines = lines.replace(text, stand_in)
    results = [(task, kind, compared(result)) for task, kind, result in map(json.loads, SIGNATURE.sub("SIGNATURE", lines).splitlines())]
    return Way(results, len(re.findall(r"Using module file .*/nosana_", ran.stdout)), ran.stdout + ran.stderr)


def compared(result: dict[str, Any]) -> dict[str, Any]:
    """What of a result has to be equal."""
    return {key: value for key, value in result.items() if key not in VARYING}


@pytest.fixture(scope="module")
def ways(tmp_path_factory: pytest.TempPathFactory) -> tuple[Way, Way]:
    """The controller's own process, and the module."""
    directory = tmp_path_factory.mktemp("ways")
    return play(directory / "action", Path(sys.executable)), play(directory / "module", other_python(directory))


def test_equal_field_by_field(ways: tuple[Way, Way]) -> None:
    here, module = ways
    assert [(task, kind) for task, kind, _result in here.results] == [(task, kind) for task, kind, _result in module.results]
    for (task, _kind, one), (_task, _same, other) in zip(here.results, module.results, strict=True):
        assert one.keys() == other.keys(), task
        for key, value in one.items():
            assert value == other[key], (task, key)


def test_each_went_its_way(ways: tuple[Way, Way]) -> None:
    """Only the task in the background starts a module where the controller could do it itself."""
    here, module = ways
    assert here.modules == 1
    assert module.modules == len([kind for _task, kind, _result in module.results if kind in ("ok", "failed")]) + LOOPED


def test_the_play_did_what_it_says(ways: tuple[Way, Way]) -> None:
    """Equal results would be worth little if everything had failed."""
    results = {task: result for task, _kind, result in ways[0].results}
    assert [results[task]["changed"] for task in ("Would post", "Posts", "Unchanged", "Extends", "Replaces")] == [
        True,
        True,
        False,
        True,
        True,
    ]
    assert results["Completes"]["status"] == "completed"
    assert results["Fails on its host"]["failure"]["code"] == "job_failed"
    assert results["Removes"]["changed"] is True
    assert "planted-secret" not in ways[0].output
