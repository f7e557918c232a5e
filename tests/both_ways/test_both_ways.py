"""The action plugin and the module give the same result, field by field: one play, two networks that began alike, two ways."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from conftest import HERE, environment, results
from solders.keypair import Keypair
from tested import BIN, PYTHON, other_python

from nosana_localnet.server import Settings
from nosana_localnet.thread import running

CLOCK = 1_780_000_000.0
# What two runs of the same cannot have in common: each transaction holds a random number, so its signature differs.
SIGNATURE = re.compile(r"\b[1-9A-HJ-NP-Za-km-z]{86,88}\b")
# Items of loops, less the loops.
LOOPED = 2 + 2 + 4 - 3
# Of Ansible itself: where a task in the background leaves its result.
VARYING = {"ansible_job_id", "results_file", "_ansible_parsed"}
BACKGROUND_JOB = re.compile(r"\bj\d+\.\d+\b")


@dataclass(frozen=True)
class Way:
    """What a play gave: its results as (task, kind, result), and how many modules of ours Ansible started."""

    results: list[tuple[str, str, dict[str, Any]]]
    modules: int
    output: str


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
        command = [BIN / "ansible-playbook", "-vvv", "-e", f"ansible_python_interpreter={interpreter}", directory / "play.yml"]
        ran = subprocess.run(
            command,
            env=environment(directory, network.environment(wallet)),
            cwd="/",
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr[-4000:]
        own = {str(directory): "DIRECTORY", f":{network.network.port}": ":PORT", str(interpreter): "PYTHON"}
    lines = results(directory)
    for text, stand_in in own.items():
        lines = lines.replace(text, stand_in)
    lines = BACKGROUND_JOB.sub("JOB", SIGNATURE.sub("SIGNATURE", lines))
    told = [(kind, task, result) for kind, task, result in map(json.loads, lines.splitlines()) if task != "Time passes"]
    found = [(task, kind, compared(result)) for kind, task, result in told if kind != "diff"]
    return Way(found, len(re.findall(r"Using module file .*/nosana_", ran.stdout)), ran.stdout + ran.stderr)


def compared(result: dict[str, Any]) -> dict[str, Any]:
    """What of a result has to be equal."""
    return {key: value for key, value in result.items() if key not in VARYING}


@pytest.fixture(scope="module")
def ways(tmp_path_factory: pytest.TempPathFactory) -> tuple[Way, Way]:
    """The controller's own process, and the module."""
    directory = tmp_path_factory.mktemp("ways")
    return play(directory / "action", PYTHON), play(directory / "module", other_python(directory))


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
    by_task = {task: result for task, _kind, result in ways[0].results}
    assert [by_task[task]["changed"] for task in ("Would post", "Posts", "Unchanged", "Extends", "Replaces")] == [
        True,
        True,
        False,
        True,
        True,
    ]
    assert by_task["Completes"]["status"] == "completed"
    assert by_task["Fails on its host"]["failure"]["code"] == "job_failed"
    assert by_task["Removes"]["changed"] is True
    assert "planted-secret" not in ways[0].output


BAD_LIBRARIES = {
    "missing": ("solders", "raise ModuleNotFoundError('planted')", "cannot be imported"),
    "broken": ("httpx", "raise ImportError('planted')", "cannot be imported"),
    "old": ("pydantic", "__version__ = '1.10.2'", "1.10.2 is older than 2.7"),
}


@pytest.mark.parametrize("where", ["action", "module"])
@pytest.mark.parametrize("trouble", BAD_LIBRARIES)
def test_an_interpreter_without_what_is_needed(trouble: str, where: str, tmp_path: Path) -> None:
    """One sentence: the library, the interpreter, and the line that installs it there."""
    library, code, words = BAD_LIBRARIES[trouble]
    (tmp_path / "lib" / library).mkdir(parents=True)
    (tmp_path / "lib" / library / "__init__.py").write_text(code + "\n", encoding="utf-8")
    interpreter = PYTHON if where == "action" else other_python(tmp_path)
    command = [BIN / "ansible", "localhost", "-m", "nosana.compute.nosana_wallet_info", "-e", f"ansible_python_interpreter={interpreter}"]
    given = environment(tmp_path, {"PYTHONPATH": str(tmp_path / "lib"), "ANSIBLE_LOAD_CALLBACK_PLUGINS": "true"})
    ran = subprocess.run(command, env=given, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 2, ran.stdout + ran.stderr
    ((_kind, _task, result),) = map(json.loads, results(tmp_path).splitlines())
    assert f"The Python library {library} " in result["msg"]
    assert words in result["msg"]
    assert f"{PYTHON} -m pip install '{library}>=" in result["msg"]
    assert result["failure"]["code"] == "missing_library"
    assert "Traceback" not in ran.stdout + ran.stderr
