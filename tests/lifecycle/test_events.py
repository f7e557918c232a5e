"""The event source on a chain: looks by hand, on good days and bad ones."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from actors import list_job
from stage import Poster, Stage

from ansible_collections.nosana.compute.plugins.module_utils._ansible.session import Session
from ansible_collections.nosana.compute.plugins.plugin_utils._events import EventSourceError, Watch
from nosana_localnet.server import DOMAIN

pytestmark = pytest.mark.skipif(bool(os.environ.get("NOSANA_VALIDATOR")), reason="nobody can make a real chain's node answer badly")

SUCCESS = {"status": "success", "opStates": [{"operationId": "run", "status": "success", "exitCode": 0, "logs": []}]}
FAILURE = {"status": "success", "opStates": [{"operationId": "run", "status": "failed", "exitCode": 3, "logs": []}]}
PLANTED = "hunter2-is-no-password"


@dataclass
class Looker:
    """A wallet's event source. look() is one look, and what it told."""

    stage: Stage
    poster: Poster
    runner: asyncio.Runner
    events: list[dict[str, Any]] = field(default_factory=list)
    watch: Watch | None = None

    async def put(self, event: dict[str, Any]) -> None:
        self.events.append(event)

    def look(self, **args: Any) -> list[tuple[str | None, str | None, str]]:
        self.events.clear()
        if self.watch is None:
            network = self.stage.network
            connection = {
                "network": "localnet",
                "wallet": json.dumps(list(bytes(self.poster.key))),
                "rpc_url": self.stage.chain.url,
                "ipfs_gateway_url": f"{network.url}/ipfs/",
                "api_url": network.url,
                "node_domain": f"http://{DOMAIN}:{network.network.port}",
            }
            assert self.stage.clock is not None
            self.watch = Watch(self, connection | args, None, self.stage.clock, Session())
        self.runner.run(self.watch.look())
        found = [event["nosana_job"] for event in self.events]
        return [(job["name"], job["previous_status"], job["status"]) for job in found]

    @property
    def told(self) -> dict[str, Any]:
        """The one event of the last look."""
        (event,) = self.events
        job: dict[str, Any] = event["nosana_job"]
        return job


@pytest.fixture
def looker(alone: Stage) -> Iterator[Looker]:
    with asyncio.Runner() as runner:
        yield Looker(alone, alone.poster(), runner)


def test_a_job_from_the_queue_to_its_end(looker: Looker) -> None:
    poster, stage = looker.poster, looker.stage
    assert looker.look() == []
    job = poster.post(name="web", expose=[80], env={"PASSWORD": PLANTED})
    assert looker.look() == [("web", None, "pending")]
    assert looker.look() == []
    host = stage.host(poster.market)
    host.work()
    assert looker.look() == [("web", "pending", "running")]
    assert (looker.told["address"], looker.told["host"], len(looker.told["services"])) == (str(job), str(host.address), 1)
    host.finish(job, stage.pin(FAILURE))
    assert looker.look() == [("web", "running", "failed")]
    assert (looker.told["reason"], looker.told["exit_code"]) == ("exit_code", 3)
    assert PLANTED not in json.dumps(looker.events)
    assert looker.look() == []


def test_two_controllers_tell_the_same_and_agree_on_its_id(looker: Looker) -> None:
    other = Looker(looker.stage, looker.poster, looker.runner)
    assert looker.look() == other.look() == []
    job = looker.poster.post(name="web")
    assert looker.look() == [("web", None, "pending")]
    host = looker.stage.host(looker.poster.market)
    host.work()
    host.finish(job, looker.stage.pin(SUCCESS))
    assert (looker.look(), other.look()) == ([("web", "pending", "completed")], [("web", None, "completed")])
    assert looker.events[0]["meta"]["uuid"] == other.events[0]["meta"]["uuid"]


def test_a_job_that_is_removed(looker: Looker) -> None:
    looker.poster.post(name="web")
    assert looker.look(emit_initial=True) == [("web", None, "pending")]
    looker.poster.job(name="web", state="absent")
    assert looker.look() == [("web", "pending", "absent")]
    assert looker.look() == []


def test_a_definition_that_is_no_json(looker: Looker) -> None:
    stage, poster = looker.stage, looker.poster
    assert looker.look() == []
    poster.post(name="web")
    cid = stage.network.call(lambda network: network.store.add(b"\x00 no JSON \xff"))
    list_job(stage.chain, poster.key, poster.market, cid, timeout=600)
    assert sorted(looker.look(), key=str) == [("web", None, "pending"), (None, None, "pending")]
    assert looker.look() == []


def test_a_node_that_lists_too_little(looker: Looker) -> None:
    poster, stage = looker.poster, looker.stage
    rule = {"kind": "missing-accounts", "target": "getProgramAccounts", "part": 1}
    job = poster.post(name="web")
    host = stage.host(poster.market)
    host.work()
    assert looker.look() == []
    with stage.network.faults(rule) as faults:
        assert looker.look() == []
    assert faults.fired["missing-accounts"] > 0
    host.finish(job, stage.pin(SUCCESS))
    assert looker.look() == [("web", "running", "completed")]
    with stage.network.faults(rule):
        assert looker.look() == []
    assert looker.look() == []


def test_a_node_that_lags_behind_shows_nothing_older(looker: Looker) -> None:
    """There the job was not posted yet, and so it would be absent."""
    poster, stage = looker.poster, looker.stage
    job = poster.post(name="web")
    assert looker.look() == []
    with stage.network.faults({"kind": "stale", "slots": 6}):
        assert looker.look() == []
    host = stage.host(poster.market)
    host.work()
    host.finish(job, stage.pin(SUCCESS))
    assert looker.look() == [("web", "pending", "completed")]


def test_a_node_that_wants_a_pause(looker: Looker) -> None:
    poster, stage = looker.poster, looker.stage
    job = poster.post(name="web")
    assert looker.look() == []
    host = stage.host(poster.market)
    host.work()
    with stage.network.faults({"kind": "rate-limited", "retry_after": 1}):
        with pytest.raises(EventSourceError, match=r"HTTP 429"):
            looker.look()
        host_is_done = stage.pin(SUCCESS)
    host.finish(job, host_is_done)
    assert looker.look() == [("web", "pending", "completed")]
