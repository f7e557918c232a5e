"""The playbooks of the job templates, run as AWX runs them: what they do, hand on, print, read and write."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import BIN, COLLECTION, MARKET, TREE, Awx

# A survey's answers: texts, also for numbers, and empty ones for what was left out.
UNANSWERED = dict.fromkeys(
    (
        "nosana_image",
        "nosana_command",
        "nosana_env",
        "nosana_expose",
        "nosana_gpu",
        "nosana_definition",
        "nosana_timeout",
        "nosana_max_cost",
    ),
    "",
)
SURVEY = UNANSWERED | {"nosana_market": MARKET, "nosana_image": "python:3.9-slim", "nosana_timeout": "600", "nosana_max_cost": "5"}
SOON = {"nosana_wait_sleep": "1", "nosana_wait_timeout": "60"}


def test_a_workflow_from_posting_to_the_result(awx: Awx) -> None:
    survey = SURVEY | {
        "nosana_name": "batch",
        "nosana_command": "echo hello $WHO",
        "nosana_env": "WHO=world",
        "nosana_wait_for": "completed",
    }
    checked = awx.run("post", "--check", "--diff", **survey)
    assert (checked.status, checked.changed, checked.posted()) == ("successful", 1, {"batch": True}), checked.output
    assert "echo hello" in checked.output  # the diff
    assert awx.jobs() == []
    waited = awx.run("wait", "--check", "--diff", **survey | checked.artifacts)
    assert (waited.status, waited.results) == ("successful", [])

    posted = awx.run("post", "--diff", **survey)
    assert (posted.status, posted.posted()) == ("successful", {"batch": True}), posted.output
    (job,) = awx.jobs()
    handed_on = posted.artifacts
    assert (handed_on["nosana_address"], handed_on["nosana_urls"], "nosana_name" in handed_on) == (job["address"], [], False)
    assert handed_on["nosana_address"] == checked.artifacts["nosana_address"]
    assert handed_on["nosana_jobs"]["batch"]["address"] == job["address"]
    assert job["address"] in posted.output

    waited = awx.run("wait", **SOON | survey | handed_on)
    assert (waited.status, waited.artifacts["nosana_status"]) == ("successful", "completed"), waited.output
    assert waited.artifacts["nosana_address"] == job["address"]
    assert waited.artifacts["nosana_result_url"]
    assert waited.changed == 0

    again = awx.run("post", **survey)
    assert (again.status, again.changed) == ("successful", 0)
    assert len(awx.jobs()) == 1


@pytest.mark.long
def test_waiting_for_a_name_means_its_newest_job(awx: Awx) -> None:
    survey = SURVEY | {"nosana_name": "nightly", "nosana_command": "true"}
    awx.run("post", **survey)
    assert awx.run("wait", **SOON | survey).status == "successful"
    awx.run("post", **survey | {"nosana_command": "false", "nosana_market": "nvidia-4090"})
    waited = awx.run("wait", nosana_name="nightly", nosana_wait_sleep="1", nosana_wait_timeout="1")
    assert (waited.status, "is pending" in waited.failures) == ("failed", True), waited.output
    assert "nosana_name is missing" in awx.run("wait").failures


def test_a_job_that_fails_is_a_node_that_fails(awx: Awx) -> None:
    survey = SURVEY | {"nosana_name": "broken", "nosana_command": "exit 3"}
    posted = awx.run("post", **survey)
    waited = awx.run("wait", **SOON | survey | posted.artifacts)
    assert waited.status == "failed"
    assert waited.artifacts["nosana_status"] == "failed"
    assert f"broken ({posted.artifacts['nosana_address']}) is failed" in waited.failures
    removed = awx.run("remove", **survey | posted.artifacts | waited.artifacts)
    assert (removed.status, removed.artifacts["nosana_removed"]) == ("successful", False)  # it is over, nothing is held


@pytest.mark.long
def test_a_service_hands_on_its_urls_and_is_removed(awx: Awx) -> None:
    survey = SURVEY | {"nosana_name": "web", "nosana_command": "sleep 500", "nosana_expose": "80,8080", "nosana_gpu": "no"}
    posted = awx.run("post", **survey)
    waited = awx.run("wait", **SOON | survey | posted.artifacts, nosana_wait_for="running")
    assert (waited.status, waited.artifacts["nosana_status"]) == ("successful", "running"), waited.output
    urls = waited.artifacts["nosana_urls"]
    assert len(urls) == 2
    assert waited.artifacts["nosana_jobs"]["web"]["urls"] == urls
    checked = awx.run("remove", "--check", **survey | waited.artifacts)
    assert (checked.status, checked.artifacts["nosana_removed"]) == ("successful", True)
    assert [job["status"] for job in awx.jobs()] == ["running"]
    removed = awx.run("remove", **survey | waited.artifacts)
    assert (removed.status, removed.artifacts["nosana_removed"]) == ("successful", True), removed.output
    assert not [job for job in awx.jobs() if job["status"] in ("pending", "running")]


@pytest.mark.long
def test_what_waits_too_long_is_said_and_an_address_removes_no_successor(awx: Awx) -> None:
    survey = SURVEY | {"nosana_name": "late", "nosana_market": "nvidia-4090", "nosana_command": "echo one"}
    first = awx.run("post", **survey)
    waited = awx.run("wait", **survey | first.artifacts, nosana_wait_sleep="1", nosana_wait_timeout="2")
    assert waited.status == "failed"
    assert f"The job late ({first.artifacts['nosana_address']}) is pending after 2 s. It goes on and costs" in waited.failures, (
        waited.output
    )
    second = awx.run("post", **survey | {"nosana_command": "echo two"})
    assert second.artifacts["nosana_address"] != first.artifacts["nosana_address"]
    assert awx.run("remove", **survey | first.artifacts).artifacts["nosana_removed"] is False
    assert [job["address"] for job in awx.jobs()] == [second.artifacts["nosana_address"]]
    # A node with a name of its own means that, whatever a node before it has posted.
    other = awx.run("remove", nosana_name="another", nosana_address=second.artifacts["nosana_address"])
    assert (other.status, other.artifacts["nosana_removed"]) == ("successful", False)
    assert awx.run("remove", nosana_name="late").artifacts["nosana_removed"] is True
    assert awx.jobs() == []


def test_bad_answers_cost_nothing(awx: Awx) -> None:
    bad = {
        "job_definition": {"nosana_image": "", "nosana_definition": "{"},
        "name": {"nosana_name": ""},
        "max_cost": {"nosana_max_cost": "0.000001"},
    }
    begun = [awx.begin("post", **SURVEY | {"nosana_name": "bad"} | answers) for answers in bad.values()]
    for sentence, run in zip(bad, begun, strict=True):
        ran = run.end()
        assert ran.status == "failed"
        assert sentence in ran.failures
        assert "Traceback" not in ran.output
    assert awx.jobs() == []


def test_nothing_is_read_of_a_home_or_written_outside_the_working_folder(awx: Awx) -> None:
    definition = {"version": "0.1", "type": "container", "meta": {"name": "whole"}}
    definition["ops"] = [{"type": "container/run", "id": "one", "args": {"image": "nginx", "cmd": "true"}}]  # type: ignore[assignment]
    survey = UNANSWERED | {"nosana_market": MARKET, "nosana_definition": json.dumps(definition)}
    posted = awx.run("post", "--diff", **survey)
    assert posted.posted() == {"whole": True}, posted.output
    waited = awx.run("wait", **SOON, **posted.artifacts)
    removed = awx.run("remove", **posted.artifacts)
    for number, ran in enumerate((posted, waited, removed)):
        assert ran.status == "successful", ran.output
        folder = f"{awx.folder}/run{number}"
        written = [path for kind, path in ran.touched if kind == "write"]
        assert [path for path in written if path.startswith(folder)], "nothing was noted"
        assert [path for path in written if not path.startswith((folder, "/dev/", "/proc/"))] == []
        assert [path for _kind, path in ran.touched if path.startswith(awx.home)] == []
    secret = awx.credential["wallet"]
    for file in awx.folder.glob("run*/artifacts/**/*"):
        if file.is_file() and file.name != "command":  # ansible-runner notes the environment there; AWX stars what is secret
            assert secret not in file.read_text(encoding="utf-8"), file


def test_the_cache_would_be_noticed(awx: Awx, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test above can fail: with the cache at its own place something is written outside."""
    environment = awx.environment | {"NOSANA_CACHE": ""}
    monkeypatch.setattr(Awx, "environment", property(lambda _self: environment))
    ran = awx.run("post", **SURVEY | {"nosana_name": "cached", "nosana_command": "true"})
    assert [path for kind, path in ran.touched if kind == "write" and path.startswith(awx.home)]


def test_the_inventory_source(awx: Awx) -> None:
    """As AWX updates it: the credential's environment, whatever cannot be parsed is an error, and variables are exported."""
    posted = awx.run("post", **SURVEY | {"nosana_name": "listed", "nosana_market": "nvidia-4090", "nosana_command": "true"})
    environment: dict[str, Any] = {"PATH": f"{BIN}:{os.environ['PATH']}", "HOME": awx.home, "ANSIBLE_HOME": str(awx.folder / "ansible")}
    environment |= {"ANSIBLE_COLLECTIONS_PATH": str(TREE), "ANSIBLE_INVENTORY_UNPARSED_FAILED": "True", "ANSIBLE_INVENTORY_EXPORT": "True"}
    source = COLLECTION / "playbooks" / "inventory" / "jobs.nosana.yml"
    output = subprocess.run(
        [str(BIN / "ansible-inventory"), "-i", str(source), "--list"], env=environment | awx.environment, capture_output=True, check=True
    )
    variables = json.loads(output.stdout)["_meta"]["hostvars"]["listed"]
    assert (variables["nosana_status"], variables["nosana_address"]) == ("pending", posted.artifacts["nosana_address"])
    assert list(Path(awx.home).iterdir()) == []


def test_ad_hoc(awx: Awx) -> None:
    """As an ad hoc command runs in AWX: ansible-runner, no playbook."""
    folder = awx.folder / "adhoc"
    (folder / "env").mkdir(parents=True)
    (folder / "env" / "envvars").write_text(json.dumps(awx.environment), encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "ansible_runner",
        "run",
        str(folder),
        "-m",
        "nosana.compute.nosana_wallet_info",
        "--hosts",
        "localhost",
    ]
    environment = {"PATH": f"{BIN}:{os.environ['PATH']}", "HOME": awx.home, "ANSIBLE_HOME": str(folder / ".ansible")}
    ran = subprocess.run(command, env=environment | {"ANSIBLE_COLLECTIONS_PATH": str(TREE)}, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert '"sol":' in ran.stdout
