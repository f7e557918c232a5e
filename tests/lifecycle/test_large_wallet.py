"""A wallet with 10,050 jobs of another tool: a name is found with few reads, and nobody reads ten thousand results."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from large_wallet import ACTIVE, FINISHED, definition, fill
from stage import Poster, Stage, kinds
from waves import Waves, counting

from ansible_collections.nosana.compute.plugins.module_utils._clients.rpc import Rpc

pytestmark = pytest.mark.skipif(bool(os.environ.get("NOSANA_VALIDATOR")), reason="nobody can put accounts into a real chain")


@pytest.fixture(scope="module")
def owner(stage: Stage) -> Poster:
    poster = stage.poster()
    stage.network.call(lambda network: fill(network, poster.address, poster.market))
    return poster


@pytest.fixture(autouse=True)
def cold(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each test begins knowing nothing."""
    monkeypatch.setenv("NOSANA_CACHE", str(tmp_path / "cache"))


def reordered(name: str) -> dict[str, Any]:
    """The same definition with another content address, so that it is not recognised by that."""
    return dict(reversed(definition(name).items()))


def declared(owner: Poster, document: dict[str, Any]) -> Waves:
    """What is asked when the job is declared, which is there already."""
    with counting() as waves:
        result = owner.job(name=document["meta"]["name"], job_definition=document)
    assert (result.failure, result.values["changed"], result.values["status"]) == (None, False, "running")
    return waves


@pytest.mark.parametrize("document", [definition("active-7"), reordered("active-7")], ids=["the same address", "another address"])
def test_found_by_name(owner: Poster, document: dict[str, Any]) -> None:
    first = declared(owner, document)
    assert 0 < first.counts["read"] <= ACTIVE
    again = declared(owner, document)
    assert again.counts["read"] == int(next(iter(document)) != "version")
    assert again.rpc < 15


def test_posting_beside_them(owner: Poster) -> None:
    with counting() as first:
        posted = owner.job(name="new")
    assert kinds(posted) == ["post"]
    assert first.counts["read"] == ACTIVE
    with counting() as again:
        other = owner.job(name="newer")
    assert kinds(other) == ["post"]
    assert (again.counts["read"], again.before_confirmation) == (0, 4)
    for name in ("new", "newer"):
        with counting() as removing:
            assert kinds(owner.job(name=name, state="absent")) == ["delist"]
        assert removing.before_confirmation <= 4
        assert removing.counts["read"] <= 1


def test_info_by_name(owner: Poster) -> None:
    for most in (ACTIVE, 1):
        with counting() as waves:
            (job,) = owner.info(name="active-7")
        assert (job["status"], job["name"]) == ("running", "active-7")
        assert waves.counts["read"] <= most


@pytest.mark.parametrize("include", [[], ["definition", "result", "logs", "cost"]], ids=["short", "all"])
def test_info_about_the_newest(owner: Poster, include: list[str]) -> None:
    with counting() as waves:
        jobs = owner.info(limit=20, include=include)
    assert [job["status"] for job in jobs] == ["running"] * 20
    with counting() as waves:
        jobs = owner.info(limit=20, status=["completed"], include=include)
    assert [job["name"] for job in jobs] == [f"finished-{FINISHED - 1 - number}" for number in range(20)]
    # A definition and a result for each, and those of the next few that are looked at together with the last.
    assert waves.counts["read"] <= 2 * 32
    assert waves.rpc <= 3


def test_info_asks_the_chain_for_what_is_wanted_only(owner: Poster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten thousand finished jobs are not sent over when those that run are asked for."""
    sizes: list[int] = []
    listed = Rpc.get_program_accounts

    async def counted(rpc: Rpc, program: str, *, filters: Any) -> Any:
        found = await listed(rpc, program, filters=filters)
        sizes.append(len(found))
        return found

    monkeypatch.setattr(Rpc, "get_program_accounts", counted)
    with counting() as waves:
        jobs = owner.info(status=["running"], limit=1000)
    assert len(jobs) == ACTIVE
    assert max(sizes) < 2 * ACTIVE
    assert waves.counts["read"] == ACTIVE
    with counting() as again:
        assert owner.info(status=["running"], limit=1000) == jobs
    assert again.counts["read"] == 0
