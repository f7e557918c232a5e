"""Waiting on a chain: what happens is noticed at once where the node tells of it, and all the same where it does not."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from actors import Faucet, Host
from chain import Chain, until
from relay import Relay, relaying
from stage import Poster, Stage
from test_lifecycle import SUCCESS

from ansible_collections.nosana.compute.plugins.module_utils._ansible import tasks
from ansible_collections.nosana.compute.plugins.module_utils._ansible.tasks import TaskResult
from ansible_collections.nosana.compute.plugins.module_utils._clients import websocket
from ansible_collections.nosana.compute.plugins.module_utils._clients.clock import SystemClock
from ansible_collections.nosana.compute.plugins.module_utils._clients.pubsub import PubSub
from nosana_localnet.server import Settings
from nosana_localnet.thread import running

# So long nobody looks by himself; who is done within the patience was woken.
SLEEP_SECONDS, PATIENCE_SECONDS = 60, 20
SILENT, DROPPED = {"kind": "pubsub-silent"}, {"kind": "pubsub-drop"}
only_here = pytest.mark.skipif(bool(os.environ.get("NOSANA_VALIDATOR")), reason="a real node has no switches")


@dataclass
class Ear:
    """Hears what PubSub answers and tells, and passes it on."""

    messages: int = 0

    @asynccontextmanager
    async def connect(self, url: str) -> AsyncIterator[Any]:
        async with websocket.connect(url) as connection:
            yield _Heard(connection, self)


@dataclass
class _Heard:
    connection: Any
    ear: Ear

    async def send(self, message: str) -> None:
        await self.connection.send(message)

    async def recv(self) -> Any:
        message = await self.connection.recv()
        self.ear.messages += 1
        return message


@dataclass
class Waiting:
    """A task that waits in a thread of its own, and a host that it waits for."""

    stage: Stage
    poster: Poster
    host: Host
    ear: Ear
    pool: ThreadPoolExecutor
    lines: list[str] = field(default_factory=list)

    def begin(self, **options: Any) -> Future[TaskResult]:
        """Waits until the job is completed."""
        wanted = {"wait_for": "completed", "wait_sleep": SLEEP_SECONDS, "wait_timeout": SLEEP_SECONDS}
        return self.pool.submit(self.poster.job, tell=self.lines.append, **wanted | options)

    def until_told(self, words: str) -> None:
        until(lambda: any(words in line for line in list(self.lines)))

    def finish(self) -> float:
        """The host hands in its job's result; when."""
        (job,) = self.stage.chain.jobs_of(self.poster.address)
        self.host.finish(job, self.stage.pin(SUCCESS))
        return time.monotonic()


@pytest.fixture
def waiting(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Iterator[Waiting]:
    ear = Ear()
    monkeypatch.setattr(tasks, "PubSub", lambda urls, clock: PubSub(urls, clock, ear.connect))
    poster = stage.poster()
    with ThreadPoolExecutor(1) as pool:
        yield Waiting(stage, poster, stage.host(poster.market), ear, pool)


def test_a_host_that_takes_the_job_and_its_end_are_noticed_at_once(waiting: Waiting) -> None:
    task = waiting.begin()
    until(lambda: waiting.ear.messages == 2)  # both subscriptions stand
    waiting.host.work()
    waiting.until_told("running on ")
    ended = waiting.finish()
    result = task.result(PATIENCE_SECONDS)
    print(f"reported {time.monotonic() - ended:.3f} s after the host's transaction was confirmed")
    assert (result.failure, result.values["status"], result.values["changed"]) == (None, "completed", True)
    address = result.values["id"]
    assert waiting.lines[0] == f"nosana_job job: waiting until the job {address} is completed, at most 1 min 0 s"
    assert waiting.lines[1].startswith("nosana_job job: queued, waited for ")
    assert waiting.lines[2].startswith(f"nosana_job job: running on {waiting.host.address} for ")
    assert len(waiting.lines) == 3


def test_what_happens_before_the_subscriptions_stand_is_noticed_too(waiting: Waiting, monkeypatch: pytest.MonkeyPatch) -> None:
    acted: list[float] = []

    @asynccontextmanager
    async def late(url: str) -> AsyncIterator[Any]:
        if not acted:
            waiting.host.work()
            acted.append(waiting.finish())
        async with websocket.connect(url) as connection:
            yield connection

    monkeypatch.setattr(tasks, "PubSub", lambda urls, clock: PubSub(urls, clock, late))
    assert waiting.begin().result(PATIENCE_SECONDS).values["status"] == "completed"
    assert len(acted) == 1


def test_a_job_that_is_removed_is_noticed_at_once(waiting: Waiting) -> None:
    task = waiting.begin()
    until(lambda: waiting.ear.messages == 2)
    assert waiting.poster.job(state="absent").failure is None
    result = task.result(PATIENCE_SECONDS)
    assert result.failure is not None
    assert "was removed" in str(result.failure)


@only_here
@pytest.mark.parametrize("rule", [SILENT, {**SILENT, "target": "accountSubscribe"}], ids=["all", "one"])
def test_a_silent_pubsub_is_no_harm(waiting: Waiting, rule: dict[str, Any]) -> None:
    with waiting.stage.network.faults(rule) as faults:
        task = waiting.begin(wait_sleep=0.2)
        until(lambda: waiting.ear.messages >= 2)
        waiting.host.work()
        waiting.until_told("running on ")
        waiting.finish()
        assert task.result(PATIENCE_SECONDS).values["status"] == "completed"
        assert faults.fired["pubsub-silent"] >= 1


@only_here
def test_a_connection_that_breaks_off_is_a_reason_to_look_and_to_connect_again(waiting: Waiting) -> None:
    with waiting.stage.network.faults(DROPPED) as faults:
        task = waiting.begin()
        until(lambda: waiting.ear.messages == 2)
        waiting.host.work()
        waiting.until_told("running on ")
        until(lambda: waiting.ear.messages == 4)  # the answers to both subscriptions again
        waiting.finish()
        assert task.result(PATIENCE_SECONDS).values["status"] == "completed"
        assert faults.fired["pubsub-drop"] == 2


@pytest.mark.parametrize("without", ["library", "server"])
def test_without_pubsub_it_is_looked_for(waiting: Waiting, monkeypatch: pytest.MonkeyPatch, without: str) -> None:
    if without == "library":
        monkeypatch.setitem(sys.modules, "websockets.asyncio.client", None)
        monkeypatch.setitem(sys.modules, "websockets", None)
    else:
        monkeypatch.setattr(tasks, "PubSub", lambda _urls, clock: PubSub(["http://127.0.0.1:9"], clock))
    task = waiting.begin(wait_sleep=0.2)
    waiting.until_told("queued")
    waiting.host.work()
    waiting.until_told("running on ")
    waiting.finish()
    assert task.result(PATIENCE_SECONDS).values["status"] == "completed"


def test_how_often_a_wait_asks(waiting: Waiting, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the posting's confirmation to the job's end, in which nobody looks by himself."""
    url = waiting.stage.chain.url
    monkeypatch.setattr(tasks, "PubSub", lambda _urls, clock: PubSub([url], clock, waiting.ear.connect))
    with relaying(waiting.stage.chain.url, waiting.stage.network.url) as relay:
        task = waiting.begin(**relay.options)
        until(lambda: waiting.ear.messages == 2)
        waiting.host.work()
        waiting.until_told("running on ")
        waiting.finish()
        result = task.result(PATIENCE_SECONDS)
        asked = _after_confirmation(relay)
    print(f"a wait of some seconds asked {asked}")
    assert result.values["status"] == "completed"
    # One look after the posting, one when the subscriptions stand, one for each of the two events; after each of these up to three more.
    assert asked.count("getMultipleAccounts") <= 4 + 3 * 3
    assert asked.count("getProgramAccounts") <= 2  # who runs the job is searched once, and known afterwards
    assert asked.count("read") == 1


def _after_confirmation(relay: Relay) -> list[str]:
    after = len(relay.kinds) - relay.kinds[::-1].index("getTransaction")
    return relay.kinds[after:]


def test_ctrl_c_ends_a_wait_at_once_and_keeps_what_was_done(waiting: Waiting) -> None:
    cancelled: list[float] = []

    async def cut_off() -> TaskResult:
        wanted = {"wait_for": "completed", "wait_sleep": SLEEP_SECONDS, "wait_timeout": SLEEP_SECONDS}
        task = asyncio.ensure_future(waiting.poster.job_in_loop(tell=waiting.lines.append, **wanted))
        while waiting.ear.messages < 2:
            await asyncio.sleep(0.01)
        task.cancel()
        cancelled.append(time.monotonic())
        return await task

    result = asyncio.run(cut_off())
    print(f"ended {time.monotonic() - cancelled[0]:.3f} s after it was cut off")
    (job,) = waiting.stage.chain.jobs_of(waiting.poster.address)
    assert result.failure is not None
    assert (result.failure.code, result.values["changed"], result.values["id"]) == ("interrupted", True, str(job))
    assert [action["action"] for action in result.values["actions"]] == ["post"]
    assert str(job) in str(result.failure)
    assert "goes on and costs" in waiting.lines[-1]
    again = waiting.poster.job()
    assert (again.values["id"], again.values["changed"]) == (str(job), False)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_a_signal_while_the_module_waits_still_gives_a_result(waiting: Waiting, tmp_path: Path, number: signal.Signals) -> None:
    """What a cancelled AWX job does to the process, and a keyboard."""
    with relaying(waiting.stage.chain.url, waiting.stage.network.url) as relay:
        process = _module(waiting.poster, tmp_path, **relay.options, wait_for="completed", wait_sleep=SLEEP_SECONDS)
        until(lambda: "getTransaction" in relay.kinds and "getMultipleAccounts" in _after_confirmation(relay))
        process.send_signal(number)
        output, errors = process.communicate(timeout=PATIENCE_SECONDS)
    result = json.loads(output)
    (job,) = waiting.stage.chain.jobs_of(waiting.poster.address)
    assert (result["failed"], result["failure"]["code"], result["changed"]) == (True, "interrupted", True)
    assert (result["id"], errors) == (str(job), b"")
    assert f"({job}) was interrupted; it goes on and costs" in result["msg"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_a_signal_while_a_young_job_settles_gives_a_result_too(waiting: Waiting, tmp_path: Path, number: signal.Signals) -> None:
    """Nothing was sent by then, and nothing is sent any more."""
    job = waiting.poster.post()
    before = waiting.poster.money
    with relaying(waiting.stage.chain.url, waiting.stage.network.url) as relay:
        process = _module(waiting.poster, tmp_path, **relay.options, image="httpd")
        until(lambda: "getBlock" in relay.kinds and "getEpochInfo" in relay.kinds)
        process.send_signal(number)
        output, errors = process.communicate(timeout=PATIENCE_SECONDS)
        assert "sendTransaction" not in relay.kinds
    result = json.loads(output)
    assert (result["failed"], result["failure"]["code"], result["changed"], result["actions"]) == (True, "interrupted", False, [])
    assert (result["id"], result["status"], errors) == (str(job), "pending", b"")
    assert result["msg"].endswith(f"was interrupted; {job} is left as it was, so run the task again.")
    assert (waiting.stage.chain.jobs_of(waiting.poster.address), waiting.poster.money) == ([job], before)


def test_who_does_not_wait_does_not_pay_for_the_library(waiting: Waiting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPROFILEIMPORTTIME", "1")
    output, imports = _module(waiting.poster, tmp_path, wait_for="posted").communicate(timeout=PATIENCE_SECONDS)
    assert json.loads(output)["changed"]
    assert b"httpx" in imports
    assert b"websockets" not in imports


def _module(poster: Poster, directory: Path, **options: Any) -> subprocess.Popen[bytes]:
    wanted = {"name": "job", "image": "nginx", "market": str(poster.market), "rpc_url": poster.stage.chain.url}
    wanted["wallet"] = json.dumps(list(bytes(poster.key)))
    arguments = directory / "arguments.json"
    arguments.write_text(json.dumps({"ANSIBLE_MODULE_ARGS": wanted | options | {"_ansible_remote_tmp": str(directory)}}), encoding="utf-8")
    environment = os.environ | poster.stage.network.environment(directory / "unused.json")
    environment |= {"PYTHONPATH": os.environ["ANSIBLE_COLLECTIONS_PATH"]}
    module = "ansible_collections.nosana.compute.plugins.modules.nosana_job"
    command = [sys.executable, "-m", module, str(arguments)]
    pipes: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, env=environment, **pipes)


class Fast(SystemClock):
    """Fifty seconds in one."""

    def monotonic(self) -> float:
        return super().monotonic() * 50

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds / 50)


@only_here
def test_what_a_running_job_has_logged_last_stands_in_the_lines() -> None:
    with running(Settings(port=0, runner="process", hosts={"free": 1})) as network:
        (host,) = network.network.hosts
        chain = Chain(network.url)
        faucet = Faucet(chain, network.call(lambda found: found.ledger.faucet))
        poster = Stage(chain, faucet, network, iter(()), Fast()).poster(host.market.address)
        lines: list[str] = []
        job = {"image": "busybox", "command": ["sh", "-c", "echo first; echo second; sleep 3"]}
        result = poster.job(tell=lines.append, wait_for="completed", wait_sleep=4, wait_timeout=3000, **job)
    assert (result.failure, result.values["status"]) == (None, "completed")
    assert [line for line in lines if line.startswith(f"nosana_job job: running on {host.address} for ") and line.endswith("; second")]
