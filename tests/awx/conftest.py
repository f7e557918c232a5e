"""Runs a playbook as AWX does: ansible-runner, a working folder with the project, the credential's environment, extra variables and options."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from rules import injected

from nosana_localnet.server import Settings
from nosana_localnet.thread import ThreadNetwork, running

HERE = Path(__file__).parent
TREE = Path(os.environ["ANSIBLE_COLLECTIONS_PATH"])
COLLECTION = TREE / "ansible_collections" / "nosana" / "compute"
FILES = COLLECTION / "playbooks" / "files"
BIN = Path(sys.executable).parent
MARKET = "nvidia-3060"
PATIENCE_SECONDS = 120
# Without them podman asks for more than it may give, where it runs in a container itself.
ULIMITS = ("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024")


def described(name: str) -> Any:
    """One of the files that the playbook awx_setup hands to AWX."""
    return yaml.safe_load((FILES / f"{name}.yml").read_text(encoding="utf-8"))


@dataclass
class Ran:
    """What AWX would know of a run."""

    status: str
    output: str
    artifacts: dict[str, Any]
    results: list[dict[str, Any]]
    failures: str
    touched: list[tuple[str, str]]

    @property
    def changed(self) -> int:
        return sum(bool(result.get("changed")) for result in self.results)

    def posted(self) -> dict[str, bool]:
        """Job by job, whether this run posted it."""
        return {result["job"]["name"]: result["changed"] for result in self.results if "balance_change" in result}


@dataclass
class Awx:
    """A controller with one credential, whose runs each have a folder of their own."""

    folder: Path
    network: ThreadNetwork
    credential: dict[str, str]
    home: str
    image: str = ""
    names: Iterator[int] = field(default_factory=lambda: iter(range(1000)))

    @property
    def environment(self) -> dict[str, str]:
        """What the credential injects."""
        return injected(described("credential_inputs"), described("credential_injectors"), self.credential)

    def begin(self, playbook: str, *options: str, hosts: list[str] | None = None, **extra_vars: Any) -> Begun:
        """Starts a job template's playbook in the project. Without hosts the inventory has localhost alone, as awx_setup makes it."""
        folder = self.folder / f"run{next(self.names)}"
        shutil.copytree(COLLECTION / "playbooks", folder / "project" / "playbooks")
        local = {"ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}"}
        inventory = {"localhost": local} if hosts is None else dict.fromkeys(hosts)
        given = {
            "inventory/hosts.yml": {"all": {"hosts": inventory}},
            "env/envvars": self.environment,
            "env/extravars": extra_vars,
            "env/cmdline": " ".join(options),
        }
        for name, content in given.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        (folder / "tmp").mkdir()
        environment = {
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "HOME": self.home,
            "LANG": "C.UTF-8",
            "TMPDIR": str(folder / "tmp"),
            "ANSIBLE_HOME": str(folder / ".ansible"),
            "ANSIBLE_COLLECTIONS_PATH": str(TREE),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        command = [str(BIN / "ansible-runner"), "run", str(folder), "-p", f"playbooks/{playbook}.yml", "--ident", "awx"]
        if self.image:
            command += isolation(self.image, folder)
        else:
            environment |= {"PYTHONPATH": str(HERE / "audit"), "AUDIT_FILE": str(folder / "audit")}
        return Begun(
            folder, subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        )

    def run(self, playbook: str, *options: str, hosts: list[str] | None = None, **extra_vars: Any) -> Ran:
        """The same, to its end."""
        return self.begin(playbook, *options, hosts=hosts, **extra_vars).end()

    def jobs(self) -> list[dict[str, Any]]:
        """The wallet's jobs on the chain."""
        command = [str(BIN / "ansible"), "localhost", "-m", "nosana.compute.nosana_job_info"]
        output = subprocess.run(
            command, env=os.environ | self.environment | {"ANSIBLE_LOCALHOST_WARNING": "false"}, capture_output=True, check=True
        )
        jobs: list[dict[str, Any]] = json.loads(output.stdout.decode().partition("=>")[2])["jobs"]
        return jobs


def isolation(image: str, folder: Path) -> list[str]:
    """Has ansible-runner run a playbook in a container, as AWX does, which can write to the run's folder alone."""
    inside = {"ANSIBLE_HOME": "/runner/.ansible", "TMPDIR": "/runner/tmp", "PYTHONDONTWRITEBYTECODE": "1"}
    inside |= {"PYTHONPATH": "/audit", "AUDIT_FILE": "/runner/audit"}
    options = ["--user=root", "--network=host", "--pull=never", "--read-only", "--read-only-tmpfs=false", *_joined(ULIMITS)]
    options += [f"--env={name}={value}" for name, value in inside.items()]
    options += [f"--name=nosana-{folder.parent.name}-{folder.name}-{os.getpid()}"]
    mounts = ["--container-volume-mount", f"{HERE / 'audit'}:/audit:ro"]
    isolated = ["--process-isolation", "--process-isolation-executable", "podman", "--container-image", image, *mounts]
    return isolated + [f"--container-option={option}" for option in options]


def _joined(words: Sequence[str]) -> list[str]:
    return [f"{name}={value}" for name, value in zip(words[::2], words[1::2], strict=True)]


@dataclass
class Begun:
    """A run that goes on."""

    folder: Path
    process: subprocess.Popen[bytes]

    def end(self) -> Ran:
        output = self.process.communicate(timeout=PATIENCE_SECONDS)[0].decode()
        artifacts = self.folder / "artifacts" / "awx"
        events = [json.loads(file.read_text(encoding="utf-8")) for file in (artifacts / "job_events").glob("*.json")]
        events.sort(key=lambda event: event["counter"])
        data = [(event["event"], event.get("event_data", {})) for event in events]
        handed_on: dict[str, Any] = next((found.get("artifact_data", {}) for event, found in data if event == "playbook_on_stats"), {})
        ended = ("runner_on_ok", "runner_on_failed", "runner_on_unreachable")
        audit = (self.folder / "audit").read_text(encoding="utf-8").splitlines()
        touched = [(kind, ast.literal_eval(path)) for kind, _space, path in (line.partition(" ") for line in audit)]
        return Ran(
            (artifacts / "status").read_text(encoding="utf-8").strip(),
            output,
            {name: value for name, value in handed_on.items() if not name.startswith("_ansible")},
            [found["res"] for event, found in data if event in ended],
            " ".join(str(found["res"].get("msg")) for event, found in data if event == "runner_on_failed"),
            touched,
        )


@pytest.fixture(scope="session")
def network() -> Iterator[ThreadNetwork]:
    with running(Settings(port=0, runner="process", hosts={MARKET: 2})) as found:
        yield found


@pytest.fixture
def awx(network: ThreadNetwork, tmp_path: Path) -> Awx:
    """A controller; its wallet is nobody else's."""
    home = tmp_path / "home"
    home.mkdir()
    key = network.wallet(tmp_path / "wallet.json")
    credential = {re.sub("^nosana_", "", name.lower()): value for name, value in network.environment(tmp_path / "wallet.json").items()}
    return Awx(tmp_path, network, credential | {"wallet": json.dumps(list(bytes(key)))}, str(home))
