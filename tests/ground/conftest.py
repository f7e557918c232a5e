"""Modules as processes of their own, as Ansible starts them, on a local network: what they answer, and what they leave on the disk."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from nosana_localnet.server import Settings
from nosana_localnet.thread import ThreadNetwork, running

PATIENCE_SECONDS = 120
NAME = "ground"


@dataclass
class Ran:
    """What a module printed, its exit code, and how long it took."""

    result: dict[str, Any]
    code: int
    seconds: float
    output: str


@dataclass
class Ground:
    """Where a module runs: its environment, and the local network that it asks."""

    network: ThreadNetwork
    home: Path
    environment: dict[str, str]
    patches: Path
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def cache(self) -> Path:
        """The file of the cache, where it lies by default."""
        return self.home / ".cache" / "nosana.compute" / "facts-v1.sqlite3"

    def start(self, module: str, options: dict[str, Any], environment: dict[str, str | None], begin: Callable[[], None] | None) -> Any:
        """The process; None takes a variable away."""
        merged = self.environment | environment
        wanted = json.dumps({"ANSIBLE_MODULE_ARGS": {"_ansible_remote_tmp": str(self.home), **self.options, **options}})
        process = subprocess.Popen(
            [sys.executable, "-m", f"ansible_collections.nosana.compute.plugins.modules.{module}"],
            env={name: value for name, value in merged.items() if value is not None},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=begin,
        )
        assert process.stdin is not None
        process.stdin.write(wanted)
        process.stdin.close()
        return process

    def run(
        self,
        module: str = "nosana_job_info",
        *,
        begin: Callable[[], None] | None = None,
        options: dict[str, Any] | None = None,
        **environment: str | None,
    ) -> Ran:
        """A module, run to its end. `begin` is called in its process before it starts."""
        begun = time.monotonic()
        if options is None:
            options = {"name": NAME}
        return finish(self.start(module, options, environment, begin), begun)

    def without_a_password_file(self) -> dict[str, str]:
        """The environment of a user of whom the machine knows no home."""
        (self.patches / "sitecustomize.py").write_text(
            "import pwd\n\n\ndef nobody(*_):\n    raise KeyError('no such user')\n\n\npwd.getpwuid = nobody\n", "utf-8"
        )
        return {"PYTHONPATH": f"{self.patches}:{self.environment['PYTHONPATH']}"}

    def with_the_time_off_by(self, seconds: int) -> dict[str, str]:
        """The environment of a machine whose time is wrong."""
        (self.patches / "sitecustomize.py").write_text(
            f"import time\n\nright = time.time\ntime.time = lambda: right() + {seconds}\n", "utf-8"
        )
        return {"PYTHONPATH": f"{self.patches}:{self.environment['PYTHONPATH']}"}


def finish(process: Any, begun: float) -> Ran:
    """What the process has printed when it ended: one line of JSON, nothing else."""
    output = process.stdout.read()
    process.wait(PATIENCE_SECONDS)
    lines = [line for line in output.splitlines() if line.strip()]
    assert len(lines) == 1, output
    return Ran(json.loads(lines[0]), process.returncode, time.monotonic() - begun, output)


@pytest.fixture(scope="session")
def network() -> Iterator[ThreadNetwork]:
    with running(Settings(port=0, runner="process", hosts={})) as found:
        yield found


@pytest.fixture(scope="session")
def posted(network: ThreadNetwork, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a wallet that has posted the job NAME."""
    place = tmp_path_factory.mktemp("wallet")
    network.wallet(place / "wallet.json")
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.environ["PYTHONPATH"], **network.environment(place / "wallet.json")}
    ground = Ground(network, place, environment | {"HOME": str(place), "PYTHONDONTWRITEBYTECODE": "1"}, place)
    job = {"name": NAME, "image": "nginx", "market": "nvidia-3060", "state": "present"}
    assert ground.run("nosana_job", options=job).result["changed"] is True
    return environment


@pytest.fixture
def ground(network: ThreadNetwork, posted: dict[str, str], tmp_path: Path) -> Ground:
    """A fresh home."""
    home, patches = tmp_path / "home", tmp_path / "patches"
    home.mkdir(mode=0o700)
    patches.mkdir()
    return Ground(network, home, posted | {"HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1"}, patches)
