"""A user of Event-Driven Ansible: a wallet on a local network with hosts, and ansible-rulebook as it is installed."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from nosana_localnet.server import Settings
from nosana_localnet.thread import ThreadNetwork, running

TREE = Path(os.environ["ANSIBLE_COLLECTIONS_PATH"])
COLLECTION = TREE / "ansible_collections" / "nosana" / "compute"
BIN = Path(sys.executable).parent
MARKET, EMPTY_MARKET = "nvidia-3060", "nvidia-4090"
PATIENCE_SECONDS = 90.0
COMMAND = ("ansible-rulebook", "-r", "{rulebook}", "-i", "inventory.yml", "--vars", "vars.yml")
LOCALHOST = {
    "all": {"hosts": {"localhost": {"ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}"}}}
}


@dataclass
class Rulebook:
    """An ansible-rulebook that runs, and what it has printed so far."""

    process: subprocess.Popen[bytes]
    file: Path

    @property
    def output(self) -> str:
        return self.file.read_text(encoding="utf-8", errors="replace")

    def until(self, seen: Callable[[], Any]) -> Any:
        """What is seen, as soon as it is something; the time that is given for it is bounded."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            if found := seen():
                return found
            assert self.process.poll() is None, f"ansible-rulebook has ended:\n{self.output}"
            time.sleep(0.2)
        raise AssertionError(f"It has not happened in {PATIENCE_SECONDS:g} seconds:\n{self.output}")

    def end(self) -> int:
        """Waits until it ends by itself."""
        return self.process.wait(PATIENCE_SECONDS)


@dataclass
class User:
    """A directory, a wallet and the network."""

    network: ThreadNetwork
    directory: Path

    def __post_init__(self) -> None:
        self.key = self.network.wallet(self.directory / "wallet.json")
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "NOSANA_", "PYTHON"))}
        self.environment |= self.network.environment(self.directory / "wallet.json")
        self.environment |= {
            "ANSIBLE_COLLECTIONS_PATH": str(TREE),
            "ANSIBLE_HOME": str(self.directory / "ansible"),
            "ANSIBLE_LOCALHOST_WARNING": "false",
            "ANSIBLE_NOCOLOR": "1",
            "HOME": str(self.directory),
            "PATH": f"{BIN}:{os.environ['PATH']}",
        }

    def ask(self, module: str, **options: Any) -> dict[str, Any]:
        """The result of a module of the collection."""
        command = ["ansible", "localhost", "-m", f"nosana.compute.{module}", *(["-a", json.dumps(options)] if options else [])]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS)
        assert done.returncode == 0, done.stdout + done.stderr
        result: dict[str, Any] = json.loads(done.stdout.partition("=>")[2])
        return result

    def post(self, name: str, definition: dict[str, Any], market: str = MARKET, wait_for: str = "running") -> str:
        """The address of a new job."""
        job = self.ask("nosana_job", name=name, job_definition=definition, market=market, wait_for=wait_for)
        return str(job["id"])

    def jobs(self, **options: Any) -> list[dict[str, Any]]:
        """The wallet's jobs."""
        found: list[dict[str, Any]] = self.ask("nosana_job_info", **options)["jobs"]
        return found

    def start(self, rulebook: str | list[Any], variables: dict[str, Any] | None = None, **environment: str) -> Rulebook:
        """Starts ansible-rulebook with one of the collection's rulebooks, or with one that is written here."""
        if not isinstance(rulebook, str):
            (self.directory / "rulebook.yml").write_text(yaml.safe_dump(rulebook), encoding="utf-8")
            rulebook = str(self.directory / "rulebook.yml")
        (self.directory / "vars.yml").write_text(json.dumps(variables or {}), encoding="utf-8")
        (self.directory / "inventory.yml").write_text(json.dumps(LOCALHOST), encoding="utf-8")
        command = [*(word.format(rulebook=rulebook) for word in COMMAND), "--shutdown-delay", "1"]
        file = self.directory / "output"
        with file.open("wb") as output:
            process = subprocess.Popen(
                command,
                cwd=self.directory,
                env=self.environment | environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return Rulebook(process, file)


@pytest.fixture(scope="session")
def network() -> Iterator[ThreadNetwork]:
    with running(Settings(port=0, runner="process", hosts={MARKET: 4})) as found:
        yield found


@pytest.fixture
def user(network: ThreadNetwork, tmp_path: Path) -> User:
    return User(network, tmp_path)
