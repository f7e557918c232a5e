"""ansible-inventory and ansible as a user runs them, on jobs of a local network; a relay counts what they ask."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from large_wallet import fill
from relay import Relay, relaying
from stage import Poster, Stage

pytestmark = pytest.mark.skipif(bool(os.environ.get("NOSANA_VALIDATOR")), reason="nobody can put accounts into a real chain")

FINISHED, ACTIVE = 5, 40
BIN = Path(sys.executable).parent
INJECTION = "{{ lookup('ansible.builtin.pipe', 'touch injected') }}"


@dataclass
class Desk:
    """Where a user sits: a directory with an inventory file, and the environment that leads to the network, through the relay."""

    directory: Path
    environment: dict[str, str]
    relay: Relay

    def run(
        self, command: str, *arguments: str, options: dict[str, Any] | None = None, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Runs one of Ansible's commands with an inventory of these options."""
        source = self.directory / "x.nosana.yml"
        source.write_text(json.dumps({"plugin": "nosana.compute.nosana", **(options or {})}), encoding="utf-8")
        self.relay.forget()
        return subprocess.run(
            [str(BIN / command), "-i", str(source), *arguments],
            cwd=self.directory,
            env=self.environment | environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def listed(self, *arguments: str, **options: Any) -> dict[str, Any]:
        """The host variables that ansible-inventory prints."""
        ran = self.run("ansible-inventory", "--list", *arguments, options=options)
        assert ran.returncode == 0, ran.stderr
        found: dict[str, Any] = json.loads(ran.stdout)["_meta"]["hostvars"]
        return found


@pytest.fixture(scope="module")
def owner(stage: Stage) -> Poster:
    poster = stage.poster()
    stage.network.call(lambda network: fill(network, poster.address, poster.market, finished=FINISHED, active=ACTIVE))
    return poster


@pytest.fixture
def desk(owner: Poster, tmp_path: Path) -> Iterator[Desk]:
    network = owner.stage.network
    wallet = tmp_path / "wallet.json"
    wallet.write_text(json.dumps(list(bytes(owner.key))), encoding="utf-8")
    wallet.chmod(0o600)
    with relaying(network.url, network.url) as relay:
        servers = {f"NOSANA_{name.upper()}": url for name, url in relay.options.items()}
        environment = {
            **os.environ,
            **network.environment(wallet),
            **servers,
            "HOME": str(tmp_path),
            "ANSIBLE_HOME": str(tmp_path / ".ansible"),
            "NOSANA_CACHE": str(tmp_path / "facts"),
            "ANSIBLE_NOCOLOR": "1",
        }
        yield Desk(tmp_path, environment, relay)


def test_every_definition_is_read_once_and_a_hit_asks_nothing(desk: Desk) -> None:
    caching = {"cache": True, "cache_plugin": "ansible.builtin.jsonfile", "cache_connection": str(desk.directory / "kept")}
    cold = desk.listed(**caching)
    assert sorted(cold) == sorted(f"active-{number}" for number in range(ACTIVE))
    assert {host["nosana_status"] for host in cold.values()} == {"running"}
    assert desk.relay.counts["read"] == ACTIVE
    assert desk.relay.counts.total() - ACTIVE <= 8
    assert desk.listed(**caching) == cold
    assert desk.relay.kinds == []
    assert desk.listed("--flush-cache", **caching) == cold
    assert desk.relay.counts["getProgramAccounts"] > 0
    assert desk.relay.counts["read"] == 0


def test_all_jobs_with_what_they_are(desk: Desk) -> None:
    found = desk.listed(status=[], include=["definition", "cost"], keyed_groups=[{"key": "nosana_status", "prefix": "status"}])
    assert len(found) == FINISHED + ACTIVE
    assert found["finished-1"]["nosana_status"] == "completed"
    assert found["finished-1"]["nosana_job_definition"]["ops"][0]["args"]["image"] == "nginx"
    assert found["finished-1"]["nosana_cost"]["deposit_base_units"] == 3600
    assert desk.listed(status=["completed"], limit=2).keys() == {f"finished-{FINISHED - 1}", f"finished-{FINISHED - 2}"}


def test_a_task_on_every_host_runs_here(desk: Desk) -> None:
    ran = desk.run(
        "ansible",
        "nosana_jobs",
        "-m",
        "nosana.compute.nosana_job_info",
        "-a",
        "id={{ nosana_address }}",
        options={"names": ["active-7"]},
        ANSIBLE_CALLBACK_RESULT_FORMAT="json",
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert '"name": "active-7"' in ran.stdout
    assert "[WARNING]" not in ran.stderr


def test_a_name_that_is_a_template_is_only_a_name(desk: Desk, owner: Poster) -> None:
    owner.post(name=INJECTION)
    try:
        options = {
            "markets": [str(owner.market)],
            "compose": {"copy": "nosana_name"},
            "filters": [{"exclude": "nosana_name is match('active')"}],
        }
        ran = desk.run("ansible", "nosana_jobs", "-m", "ansible.builtin.debug", "-a", "msg={{ [nosana_name, copy] }}", options=options)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        assert ran.stdout.count(INJECTION) == 2
        assert not (desk.directory / "injected").exists()
        (host,) = desk.listed(**options).values()
        assert (host["nosana_name"], host["copy"]) == ({"__ansible_unsafe": INJECTION}, {"__ansible_unsafe": INJECTION})
    finally:
        owner.job(name=INJECTION, state="absent")


@pytest.mark.parametrize(
    ("options", "environment", "sentence"),
    [
        ({"rpc_url": "http://127.0.0.1:1"}, {}, "No answer from the Solana RPC node at 127.0.0.1:1"),
        ({}, {"NOSANA_WALLET": ""}, "wallet is missing: give the path of a key file, or set NOSANA_WALLET."),
        ({"markets": ["nowhere"]}, {}, "nowhere"),
        ({"limmit": 3}, {}, "The option limmit does not exist; did you mean limit?"),
    ],
    ids=["unreachable", "no wallet", "no such market", "no such option"],
)
def test_one_sentence_and_no_traceback(desk: Desk, options: dict[str, Any], environment: dict[str, str], sentence: str) -> None:
    ran = desk.run("ansible-inventory", "--list", options=options, ANSIBLE_INVENTORY_UNPARSED_FAILED="true", **environment)
    assert ran.returncode != 0
    said = " ".join(ran.stderr.split())
    assert sentence in said
    assert "Traceback" not in said
