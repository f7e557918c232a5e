"""The playbook nosana.compute.awx_setup against a stand-in for awx.awx, and what it hands over against AWX's rules."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import copy
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import rules
import stand_in
from conftest import BIN, COLLECTION, TREE, described

from ansible_collections.nosana.compute.plugins.module_utils._ansible.options import job_spec, wallet_info_spec

sys.path.insert(0, str(COLLECTION / "tests" / "docs"))

from blocks import PAGES, blocks

KEY = "p2antedWa22etKey" * 5 + "p2anted"
SURVEYS = ["survey_post", "survey_wait", "survey_remove"]
PLAYBOOKS = ["post", "wait", "remove", "awx_setup"]


@dataclass
class Setup:
    """An AWX that nothing was done to, and a way to set it up."""

    folder: Path

    def run(self, *options: str) -> tuple[int, str]:
        return self.command([str(BIN / "ansible-playbook"), "nosana.compute.awx_setup", *options])

    def command(self, command: list[str]) -> tuple[int, str]:
        environment = {"PATH": f"{BIN}:{os.environ['PATH']}", "HOME": str(self.folder), "AWX_STAND_IN": str(self.folder / "awx.json")}
        environment |= {
            "ANSIBLE_COLLECTIONS_PATH": f"{TREE}:{self.folder}",
            "ANSIBLE_LOCALHOST_WARNING": "false",
            "ANSIBLE_PIPELINING": "true",
        }
        environment |= {"NOSANA_WALLET": KEY, "NOSANA_IPFS_JWT": f"{KEY}-too", "NOSANA_NETWORK": "devnet"}
        ran = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False)
        return ran.returncode, ran.stdout + ran.stderr

    def things(self) -> dict[str, dict[str, Any]]:
        things: dict[str, dict[str, Any]] = json.loads((self.folder / "awx.json").read_text(encoding="utf-8"))
        return things


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    stand_in.install(tmp_path)
    (tmp_path / "awx.json").write_text("{}", encoding="utf-8")
    return Setup(tmp_path)


# --- what is handed over, by AWX's rules -----------------------------------------------------------------------------


def test_the_credential_type_is_valid() -> None:
    assert rules.of_credential_type(described("credential_inputs"), described("credential_injectors")) == []


def test_the_credential_has_every_connection_option() -> None:
    options = {name for spec in (job_spec(), wallet_info_spec()) for name, option in spec.items() if "fallback" in option}
    not_of_a_wallet = {"market", "priority_fee"}
    assert {field["id"] for field in described("credential_inputs")["fields"]} == options - not_of_a_wallet
    assert set(described("credential_injectors")["env"]) == {f"NOSANA_{name.upper()}" for name in options - not_of_a_wallet} | {
        "NOSANA_CACHE"
    }


def test_secrets_and_urls_that_may_carry_a_key_are_secret() -> None:
    secret = {field["id"] for field in described("credential_inputs")["fields"] if field.get("secret")}
    assert secret == {"wallet", "ipfs_jwt", "rpc_url", "api_key", "ipfs_api_url", "ipfs_gateway_url"}


def _field(**changes: Any) -> Callable[[dict[str, Any], dict[str, Any]], None]:
    return lambda inputs, _injectors: inputs["fields"][0].update(changes)


@pytest.mark.parametrize(
    "spoil",
    [
        _field(id="tower"),
        _field(id="1st"),
        _field(id="network"),
        _field(dependencies=["network"]),
        _field(type="boolean"),
        _field(default=True),
        _field(choices=["a", "a"]),
        lambda inputs, _injectors: inputs["required"].append("nothing"),
        lambda inputs, _injectors: inputs.update(more=1),
        lambda inputs, _injectors: inputs["fields"][1].update(default="moon"),
        lambda inputs, _injectors: inputs["fields"][0].pop("label"),
        lambda _inputs, injectors: injectors["env"].update(ANSIBLE_X="a"),
        lambda _inputs, injectors: injectors["env"].update(PATH="a"),
        lambda _inputs, injectors: injectors["env"].update({"A-B": "a"}),
        lambda _inputs, injectors: injectors["env"].update(NOSANA_X="{{ nothing }}"),
        lambda _inputs, injectors: injectors["env"].update(NOSANA_X="ä"),
        lambda _inputs, injectors: injectors.update(vars={}),
        lambda _inputs, injectors: injectors.update(file={"template": "a", "template.b": "b"}),
    ],
)
def test_the_rules_of_credential_types_refuse(spoil: Callable[[dict[str, Any], dict[str, Any]], None]) -> None:
    inputs, injectors = described("credential_inputs"), described("credential_injectors")
    spoil(inputs, injectors)
    assert rules.of_credential_type(inputs, injectors)


@pytest.mark.parametrize("name", SURVEYS)
def test_the_surveys_are_valid(name: str) -> None:
    assert rules.of_survey(described(name)) == []


@pytest.mark.parametrize("name", SURVEYS)
def test_the_answers_of_a_survey_are_used(name: str) -> None:
    playbook = (COLLECTION / "playbooks" / f"{name.removeprefix('survey_')}.yml").read_text(encoding="utf-8")
    for question in described(name)["spec"]:
        assert re.search(rf"\b{question['variable']}\b", playbook), question["variable"]


@pytest.mark.parametrize(
    "changes",
    [
        {"type": "number"},
        {"variable": "a b"},
        {"required": "yes"},
        {"min": "1"},
        {"type": "multiplechoice"},
        {"default": 1},
        {"variable": "nosana_market"},
    ],
)
def test_the_rules_of_surveys_refuse(changes: dict[str, Any]) -> None:
    survey = described("survey_post")
    survey["spec"][0].update(changes)
    assert rules.of_survey(survey)


# --- the playbook ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PLAYBOOKS)
def test_the_syntax(setup: Setup, name: str) -> None:
    environment = {"PATH": os.environ["PATH"], "HOME": str(setup.folder), "ANSIBLE_COLLECTIONS_PATH": f"{TREE}:{setup.folder}"}
    command = [str(BIN / "ansible-playbook"), "--syntax-check", f"nosana.compute.{name}"]
    assert subprocess.run(command, env=environment, capture_output=True, check=False).returncode == 0


def test_set_up_twice(setup: Setup) -> None:
    options = ["-e", json.dumps({"awx_image": "registry.example/nosana-ee:1", "awx_fleet": ["a", "b"], "awx_job_slice_count": 2})]
    code, output = setup.run(*options, "-vvv")
    assert code == 0, output
    assert KEY not in output
    things = setup.things()
    # The second time with another key, in a file: what AWX keeps secret is compared by no run, and written again only when asked.
    (setup.folder / "key.json").write_text("[1, 2]\n", encoding="utf-8")
    options += ["-e", f"awx_wallet={setup.folder}/key.json"]
    code, again = setup.run(*options)
    assert code == 0, again
    assert re.search(r"localhost +: ok=\d+ +changed=0 ", again), again
    assert setup.things() == things
    code, again = setup.run(*options, "-e", "awx_update_secrets=true")
    assert re.search(r"localhost +: ok=\d+ +changed=1 ", again), again
    assert setup.things()["credential//Nosana wallet"]["inputs"]["wallet"] == "[1, 2]"

    kinds = {key.partition("/")[0] for key in things}
    assert kinds == set(stand_in.SPECS)
    credential_type = things["credential_type//Nosana"]
    assert credential_type["kind"] in ("cloud", "net")
    assert credential_type["inputs"] == described("credential_inputs")
    assert credential_type["injectors"] == described("credential_injectors")  # templates that AWX is to render, not Ansible
    assert things["credential//Nosana wallet"]["inputs"] == {"wallet": KEY, "network": "devnet", "ipfs_jwt": f"{KEY}-too"}
    assert things["host/Nosana/localhost"]["variables"]["ansible_python_interpreter"] == "{{ ansible_playbook_python }}"
    assert {key for key in things if key.startswith("host/Nosana fleet/")} == {"host/Nosana fleet/a", "host/Nosana fleet/b"}
    source = things["inventory_source//Nosana jobs"]
    assert (COLLECTION / source["source_path"]).is_file()
    assert source["source_path"].endswith("nosana.yml")
    templates = {key: thing for key, thing in things.items() if key.startswith("job_template/")}
    assert len(templates) == 4
    for template in templates.values():
        assert (COLLECTION / template["playbook"]).is_file()
        assert rules.of_survey(template.get("survey_spec") or described("survey_post")) == []
    assert templates["job_template//Nosana fleet"]["job_slice_count"] == 2
    workflow = things["workflow_job_template//Nosana job"]
    assert rules.of_workflow(workflow["schema"]) == []
    assert rules.of_survey(workflow["survey_spec"]) == []
    variables = {question["variable"] for name in SURVEYS for question in described(name)["spec"]}
    assert {question["variable"] for question in workflow["survey_spec"]["spec"]} == variables
    nodes = {node["identifier"]: node["related"] for node in workflow["schema"]}
    assert nodes["post"]["failure_nodes"] == []  # what could not be posted is not ours to remove
    assert [node["identifier"] for node in nodes["wait"]["failure_nodes"]] == ["remove"]
    for spoilt in (_led_back(workflow["schema"]), _led_nowhere(workflow["schema"]), workflow["schema"] * 2):
        assert rules.of_workflow(spoilt)


def _led_back(nodes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    spoilt = copy.deepcopy(nodes)
    spoilt[-1]["related"]["always_nodes"] = [{"identifier": spoilt[0]["identifier"]}]
    return spoilt


def _led_nowhere(nodes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    spoilt = copy.deepcopy(nodes)
    spoilt[-1]["related"]["always_nodes"] = [{"identifier": "nothing"}]
    return spoilt


@pytest.mark.long
def test_what_the_page_says_to_run(setup: Setup) -> None:
    (setup.folder / "wallet.json").write_text("[3, 4]\n", encoding="utf-8")
    commands = [block.text for block in blocks(PAGES / "awx.md") if block.mark == "awx"]
    assert len(commands) == 2
    for command in commands:
        code, output = setup.command(["sh", "-ec", command])
        assert code == 0, output
    things = setup.things()
    assert things["credential//Nosana wallet"]["inputs"]["wallet"] == "[3, 4]"
    assert len([key for key in things if key.startswith("host/Nosana fleet/")]) == 3


@pytest.mark.parametrize("wallet", ["nowhere.json", "{}", "wallet.json"])
def test_a_wallet_that_is_no_key_is_written_nowhere(setup: Setup, wallet: str) -> None:
    (setup.folder / "wallet.json").write_text("no key", encoding="utf-8")
    code, output = setup.run("-e", "awx_image=image", "-e", json.dumps({"awx_wallet": wallet}))
    assert code != 0
    assert "awx_wallet is neither a key file that exists, nor a key" in output
    assert "no key\n" not in output
    assert setup.things() == {}


def test_no_image(setup: Setup) -> None:
    code, output = setup.run()
    assert code != 0
    assert "awx_image is missing" in output
    assert setup.things() == {}
