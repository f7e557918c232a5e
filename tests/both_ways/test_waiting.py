"""What a person sees of a wait, and of one that is cut off: by Ctrl-C, by SIGTERM as AWX sends it, by the task's own timeout."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import environment
from tested import BIN, other_python

from nosana_localnet.server import Settings
from nosana_localnet.thread import ThreadNetwork, running

WAITS = "nosana_job waits: waiting until the job "
GOES_ON = "was interrupted; it goes on and costs until it ends, so run the task again to wait for it, or remove it with state=absent."


@pytest.fixture(scope="module")
def network() -> Iterator[ThreadNetwork]:
    """Nobody takes a job here, so that all wait."""
    with running(Settings(port=0, runner="process", hosts={})) as found:
        yield found


class Play:
    """A running ansible-playbook with one task that waits."""

    def __init__(self, network: ThreadNetwork, directory: Path, *options: str, **task: Any) -> None:
        network.wallet(directory / "wallet.json")
        job = {"name": "waits", "image": "alpine", "market": "nvidia-3060", "wait_for": "completed", "wait_timeout": 600}
        play = [{"hosts": "localhost", "gather_facts": False, "tasks": [{"nosana.compute.nosana_job": job, **task}]}]
        (directory / "play.yml").write_text(json.dumps(play), encoding="utf-8")
        self._process = subprocess.Popen(
            [str(BIN / "ansible-playbook"), *options, str(directory / "play.yml")],
            env=environment(directory, network.environment(directory / "wallet.json")),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def when_it_waits(self, number: signal.Signals) -> None:
        """Sends a signal as soon as the play says that it waits."""
        assert self._process.stderr is not None
        assert any(line.startswith(WAITS) for line in self._process.stderr)
        self._process.send_signal(number)

    def end(self) -> tuple[str, str]:
        """What it printed in the end, as output and errors."""
        return self._process.communicate(timeout=120)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_cut_off_it_says_that_the_job_goes_on(number: signal.Signals, network: ThreadNetwork, tmp_path: Path) -> None:
    play = Play(network, tmp_path)
    play.when_it_waits(number)
    output, errors = play.end()
    (sentence,) = [line for line in errors.splitlines() if line.startswith("Waiting for the job waits (")]
    assert sentence.endswith(GOES_ON)
    assert "nosana_job" not in output.replace("TASK [nosana.compute.nosana_job]", "")


def test_the_timeout_of_the_task(network: ThreadNetwork, tmp_path: Path) -> None:
    output, errors = Play(network, tmp_path, timeout=5).end()
    assert "Timed out after 5 second(s)" in output + errors
    assert GOES_ON in errors


def test_progress_does_not_disturb_machines(network: ThreadNetwork, tmp_path: Path) -> None:
    """It comes on standard error, where Ansible's own warnings do."""
    output, errors = Play(network, tmp_path, timeout=5).end()
    assert WAITS in errors
    assert "queued" in errors
    assert WAITS not in output


@pytest.mark.parametrize("way", ["no_log", "module"])
def test_nothing_is_said_where_nothing_may_or_can_be(way: str, network: ThreadNetwork, tmp_path: Path) -> None:
    options = ["-e", f"ansible_python_interpreter={other_python(tmp_path)}"] if way == "module" else []
    output, errors = Play(network, tmp_path, *options, timeout=8, **({"no_log": True} if way == "no_log" else {})).end()
    assert "Timed out" in output + errors or "no_log" in output
    assert "waits" not in output + errors
