"""The lookup plugin as Ansible calls it, with the task of nosana_job_info replaced."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleError, AnsibleLookupError
from ansible.plugins.loader import lookup_loader
from ansible.template import is_trusted_as_template

from ansible_collections.nosana.compute.plugins.module_utils._ansible.tasks import TaskResult
from ansible_collections.nosana.compute.plugins.module_utils._clients.errors import Unreachable
from ansible_collections.nosana.compute.plugins.plugin_utils import _tasks

JOBS = {
    "web": [{"address": "A1", "name": "web", "status": "failed"}, {"address": "A2", "name": "web", "status": "running"}],
    "over": [{"address": "A3", "name": "over", "status": "failed"}, {"address": "A4", "name": "over", "status": "completed"}],
    "odd": [{"address": "A5", "name": "odd", "status": "failed", "message": "{{ 7 * 7 }}\x1b[2J planted-secret-1234"}],
}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The options of each task; the jobs above are what they find."""
    noted: list[dict[str, Any]] = []

    async def task(params: dict[str, Any], **_more: Any) -> TaskResult:
        noted.append(params)
        if params["name"] == "unreachable":
            raise Unreachable("No answer from the Solana RPC node.")
        return TaskResult({"changed": False, "jobs": JOBS.get(params["name"], [])})

    monkeypatch.setattr(_tasks, "job_info_task", task)
    return noted


def look(*names: Any, **options: Any) -> list[Any]:
    found: list[Any] = lookup_loader.get("nosana.compute.job").run(list(names), variables={}, **options)
    return found


def test_the_job_that_is_not_over_or_else_the_newest(asked: list[dict[str, Any]]) -> None:
    assert [job["address"] for job in look("web", "over")] == ["A2", "A4"]


def test_the_options_are_the_modules(asked: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOSANA_NETWORK", "devnet")
    monkeypatch.setenv("NOSANA_RPC_URL", "")
    look("web", include=["logs"], api_url="https://api.example")
    (options,) = asked
    assert (options["network"], options["rpc_url"], options["api_url"], options["include"]) == (
        "devnet",
        None,
        "https://api.example",
        ["logs"],
    )


def test_a_name_that_no_job_has(asked: list[dict[str, Any]]) -> None:
    with pytest.raises(AnsibleLookupError, match="The wallet has no job 'nobody'; give default to go on without"):
        look("web", "nobody")
    assert look("nobody", default={"status": "absent"}) == [{"status": "absent"}]
    assert look("nobody", default=None) == [None]


def test_values_are_masked_and_no_templates(asked: list[dict[str, Any]]) -> None:
    (job,) = look("odd", ipfs_jwt="planted-secret-1234")
    assert job["message"] == "{{ 7 * 7 }} ********"
    assert not is_trusted_as_template(job["message"])


@pytest.mark.parametrize(
    ("names", "options", "sentence"),
    [
        (["unreachable"], {}, "No answer from the Solana RPC node."),
        (["web"], {"market": "x"}, "The lookup nosana.compute.job has no option market."),
        ([""], {}, "The terms of the lookup nosana.compute.job are names of jobs, so each must be a text that is not empty."),
        ([7], {}, "The terms of the lookup nosana.compute.job are names of jobs, so each must be a text that is not empty."),
        (["web"], {"network": "testnet"}, "value of network must be one of: mainnet, devnet, localnet, got: testnet."),
    ],
)
def test_one_sentence(asked: list[dict[str, Any]], names: list[Any], options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(AnsibleLookupError) as caught:
        look(*names, **options)
    assert str(caught.value) == sentence


def test_an_unknown_part(asked: list[dict[str, Any]]) -> None:
    with pytest.raises(AnsibleError, match="include"):
        look("web", include=["everything"])
