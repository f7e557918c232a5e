"""The event source, look by look, with the task of nosana_job_info replaced."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import dataclass, field
from typing import Any

import pytest

from ansible_collections.nosana.compute.plugins.module_utils._ansible.tasks import TaskResult
from ansible_collections.nosana.compute.plugins.module_utils._clients.errors import Unreachable
from ansible_collections.nosana.compute.plugins.plugin_utils import _events, _tasks

KEY = "4Z7cXSyeFR8wNGMVXUE1TwtKn5D5Vu7FzEv69dokLv7KrQk7h6pu4LF8ZRR9yQBhc7uSM6RTTZtU1fmaxiNrxXrs"
NOW = 1_800_000_000
STATES = {"pending": "queued", "running": "running"}


def job(address: str, status: str, **more: Any) -> dict[str, Any]:
    found = {
        "address": address,
        "name": f"job-{address}",
        "status": status,
        "reason": None,
        "message": "",
        "chain_state": STATES.get(status, "done"),
        "time_started": None if status == "pending" else NOW,
        "time_ended": None if status in STATES else NOW,
        "definition_cid": f"cid-{address}",
        "result_cid": None,
        "services": [],
    }
    return found | more


class Ended(Exception):
    """No look is left."""


@dataclass
class Scene:
    """What each look finds: jobs, or an error. It is also the clock, which stands still but for the pauses, and the queue."""

    looks: list[Any]
    standing: dict[str, dict[str, Any]] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    windows: list[float] = field(default_factory=list)
    time: float = 1000.0

    async def job_info(self, params: dict[str, Any], *, memory: Any, ended_within: float | None, **_more: Any) -> TaskResult:
        self.asked.append(params)
        memory.now_seconds = NOW + int(self.time - 1000)
        if params["id"]:
            return TaskResult({"changed": False, "jobs": [self.standing[params["id"]]] if params["id"] in self.standing else []})
        self.windows.append(ended_within or 0)
        found = self.looks.pop(0)
        if isinstance(found, Exception):
            raise found
        return TaskResult({"changed": False, "jobs": found}, ["A definition could not be read."])

    async def put(self, event: dict[str, Any]) -> None:
        self.events.append(json.loads(json.dumps(event)))

    async def sleep(self, seconds: float) -> None:
        if not self.looks:
            raise Ended
        self.pauses.append(seconds)
        self.time += seconds

    def monotonic(self) -> float:
        return self.time

    def now(self) -> float:
        return 0.0  # nothing may hang on this machine's clock

    def random(self) -> float:
        return 0.5

    def told(self) -> list[tuple[str, str | None, str]]:
        found = [event["nosana_job"] for event in self.events]
        return [(entry["address"], entry["previous_status"], entry["status"]) for entry in found]


@pytest.fixture(autouse=True)
def _wallet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOSANA_WALLET", KEY)
    monkeypatch.setenv("NOSANA_NETWORK", "localnet")


def watched(*looks: Any, standing: list[dict[str, Any]] | None = None, **args: Any) -> Scene:
    """The scene after all looks."""
    scene = Scene(list(looks), {entry["address"]: entry for entry in standing or []})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_tasks, "job_info_task", scene.job_info)
        with pytest.raises(Ended):
            asyncio.run(_events.run(scene, args, scene))
    return scene


def refused(**args: Any) -> str:
    """What is said of options that cannot be."""
    with pytest.raises(_events.EventSourceError) as caught:
        asyncio.run(_events.run(Scene([]), args, Scene([])))
    return str(caught.value)


# --- what makes an event ---------------------------------------------------------------------------------------------


def test_one_event_for_each_change() -> None:
    scene = watched(
        [job("A", "pending"), job("B", "running")],
        [job("A", "pending"), job("B", "running")],
        [job("A", "running"), job("B", "failed", reason="exit_code", exit_code=3), job("C", "pending")],
        [job("A", "running"), job("B", "failed", reason="exit_code", exit_code=3), job("C", "pending")],
    )
    assert scene.told() == [("A", "pending", "running"), ("B", "running", "failed"), ("C", None, "pending")]
    failed = scene.events[1]["nosana_job"]
    assert (failed["event"], failed["reason"], failed["exit_code"], failed["name"]) == ("changed", "exit_code", 3, "job-B")
    assert set(scene.events[1]["meta"]) == {"uuid"}
    assert scene.pauses == [30, 30, 30]


def test_the_first_look_tells_only_what_is_asked_for() -> None:
    found = [job("A", "running"), job("B", "failed", time_ended=NOW - 100), job("C", "completed", time_ended=NOW - 500)]
    assert watched(found).told() == []
    assert watched(found, emit_initial=True).told() == [("A", None, "running")]
    scene = watched(found, since=200)
    assert scene.told() == [("B", None, "failed")]
    assert scene.windows == [3800]


def test_some_jobs_and_some_ends_only() -> None:
    looks = ([], [job("A", "running", name="web-1"), job("B", "failed", name="web-2"), job("C", "failed", name="db")])
    assert watched(*looks, names=["web-*"], status=["failed", "absent"]).told() == [("B", None, "failed")]
    scene = watched(*looks, markets=["here"])
    assert [(asked["market"], asked["status"]) for asked in scene.asked] == [("here", None), ("here", None)]


def test_a_name_that_can_be_read_later_only() -> None:
    scene = watched([], [job("A", "failed", name=None)], [job("A", "failed", name="web-1")], names=["web-*"])
    assert scene.told() == [("A", None, "failed")]


def test_the_host_of_the_inventory_only_when_asked_for() -> None:
    """ansible-rulebook limits playbooks to it, and a playbook for localhost would find no host."""
    scene = watched([], [job("A", "failed"), job("B", "failed", name=None)], meta_hosts=True)
    assert [event["meta"]["hosts"] for event in scene.events] == ["job-A", "B"]


def test_the_same_event_has_the_same_id_whoever_saw_it_and_when() -> None:
    def ids(*looks: Any) -> list[str]:
        return [event["meta"]["uuid"] for event in watched(*looks).events]

    ended = job("A", "failed", result_cid="Qm1")
    assert ids([job("A", "running")], [ended])[-1] == ids([], [job("A", "pending")], [ended])[-1]
    assert len({*ids([], [job("A", "pending")], [job("A", "running")], [ended]), *ids([], [job("B", "pending")])}) == 4
    # A job that its host gave up may run again.
    again = ids([], [job("A", "running")], [job("A", "failed", chain_state="stopped")], [job("A", "running", time_started=NOW + 9)])
    assert len(set(again)) == 3
    # What was known last of a job that is gone differs.
    assert ids([job("A", "pending")], [])[-1] == ids([job("A", "pending")], [job("A", "running")], [])[-1]


# --- what is gone ----------------------------------------------------------------------------------------------------


def test_a_job_without_an_account_is_absent() -> None:
    scene = watched([job("A", "pending", services=[{"url": "x"}])], [], [])
    assert scene.told() == [("A", "pending", "absent")]
    gone = scene.events[0]["nosana_job"]
    assert (gone["name"], gone["chain_state"], gone["services"]) == ("job-A", "closed", [])


def test_a_list_that_is_not_whole_makes_nothing_absent() -> None:
    scene = watched([job("A", "running")], [], [], standing=[job("A", "running")])
    assert scene.told() == []
    assert watched([job("A", "running")], [], standing=[job("A", "failed")]).told() == [("A", "running", "failed")]
    nameless = watched([job("A", "running")], [], standing=[job("A", "failed", name=None)])
    assert nameless.events[0]["nosana_job"]["name"] == "job-A"


def test_what_is_over_for_long_is_forgotten_and_not_asked_for() -> None:
    """It leaves the list because of its age, and not because its account was closed."""
    old = job("A", "completed", time_ended=NOW - 3595)
    scene = watched([old], [], [])
    assert scene.told() == []
    assert [asked["id"] for asked in scene.asked] == [None, None, None]
    assert watched([job("A", "completed")], [], []).told() == [("A", "completed", "absent")]


def test_a_node_that_lags_behind_turns_nothing_back() -> None:
    looks = [[job("A", "running")], [job("A", "completed")], [job("A", "running")], [job("A", "pending")], [job("A", "completed")]]
    assert watched(*looks).told() == [("A", "running", "completed")]
    assert watched([job("A", "running")], [job("A", "pending")], [job("A", "running")]).told() == []


def test_a_result_that_comes_later_than_the_end_is_waited_for() -> None:
    unread = job("A", "failed", reason="result_unavailable", result_cid="Qm1")
    read = job("A", "completed", result_cid="Qm1")
    assert watched([job("A", "running")], [unread], [unread], [read]).told() == [("A", "running", "completed")]
    assert watched([], [unread], [read]).told() == [("A", None, "completed")]
    assert watched([job("A", "running")], *[[unread]] * 19).told() == []
    assert watched([job("A", "running")], *[[unread]] * 20).told() == [("A", "running", "failed")]


# --- errors ----------------------------------------------------------------------------------------------------------


def test_nothing_is_lost_while_a_node_does_not_answer(caplog: pytest.LogCaptureFixture) -> None:
    down = Unreachable("No answer from the Solana RPC node at rpc.example after 5 attempts (HTTP 429).")
    with caplog.at_level(logging.WARNING):
        scene = watched([job("A", "running")], down, down, down, [job("A", "failed")], [job("A", "failed")], max_backoff=100)
    assert scene.told() == [("A", "running", "failed")]
    assert scene.pauses == [30, 60, 100, 100, 30]
    # Whatever was posted and ended in all that time is looked for, too.
    assert scene.windows[-2:] == [3600 + 290, 3600 + 30]
    messages = [record.getMessage() for record in caplog.records]
    assert messages.count(str(down)) == 1
    assert messages.count("A definition could not be read.") <= 2


def test_an_unreachable_network_at_the_start_ends_the_source() -> None:
    scene = Scene([Unreachable("No answer from the Solana RPC node at rpc.example after 5 attempts (connection failed).")])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_tasks, "job_info_task", scene.job_info)
        with pytest.raises(_events.EventSourceError, match=r"No answer from the Solana RPC node at rpc\.example") as caught:
            asyncio.run(_events.run(scene, {}, scene))
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        ({"intervall": 30}, "has no option 'intervall'; did you mean interval?"),
        ({"owner": "x"}, "has no option 'owner'; it has markets, names, status,"),
        ({"interval": 1}, "interval is 1, and must be at least 5, in seconds."),
        ({"interval": "often"}, "argument 'interval' is of type str and we were unable to convert to float"),
        ({"since": -1}, "since is -1, and must be at least 0, in seconds."),
        ({"status": ["over"]}, "value of status must be one or more of: pending, running"),
        ({"network": "testnet"}, "value of network must be one of: mainnet, devnet, localnet, got: testnet"),
        ({"feedback": True}, "feedback is on, and ansible-rulebook gives no queue for it"),
    ],
)
def test_options_that_cannot_be(args: dict[str, Any], sentence: str) -> None:
    assert sentence in refused(**args)


def test_no_wallet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOSANA_WALLET")
    assert "NOSANA_WALLET" in refused()


def test_no_secret_in_an_event_or_a_sentence(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOSANA_RPC_URL", "https://rpc.example/?api-key=0123456789abcdef")
    down = Unreachable(f"Bad answer with 0123456789abcdef and {KEY}.")
    with caplog.at_level(logging.DEBUG):
        scene = watched([], down, [job("A", "failed", message=f"host said {KEY} and 0123456789abcdef\x1b[2J")])
    shown = json.dumps(scene.events) + caplog.text
    assert "0123456789abcdef" not in shown
    assert KEY not in shown
    assert "\\u001b" not in shown
    assert "********" in scene.events[0]["nosana_job"]["message"]
    assert KEY not in refused(wallet=KEY, network=KEY)


# --- the queue -------------------------------------------------------------------------------------------------------


def test_a_job_that_waits_too_long_is_told_once() -> None:
    waits = [job("A", "pending")]
    scene = watched(waits, waits, waits, waits, waits, queued_too_long=60)
    (event,) = scene.events
    told = event["nosana_job"]
    assert (told["event"], told["status"], told["previous_status"], told["queued_seconds"]) == ("queued_too_long", "pending", "pending", 60)
    assert watched(waits, waits, [job("A", "running")], waits, queued_too_long=60).told() == [("A", "pending", "running")]
    assert watched(waits, waits, waits).told() == []


# --- feedback --------------------------------------------------------------------------------------------------------


class Confirmed:
    """Confirms so many events."""

    def __init__(self, count: int) -> None:
        self.left = count

    async def get(self) -> Any:
        if not self.left:
            await asyncio.Event().wait()
        self.left -= 1
        return {}


def test_each_event_is_confirmed() -> None:
    feedback = Confirmed(2)
    assert len(watched([], [job("A", "failed"), job("B", "failed")], feedback=True, eda_feedback_queue=feedback).events) == 2
    assert feedback.left == 0


def test_what_is_not_confirmed_ends_the_source(monkeypatch: pytest.MonkeyPatch) -> None:
    async def too_late(waiting: Any, timeout: float) -> None:
        waiting.close()
        assert timeout == 7
        raise TimeoutError

    monkeypatch.setattr(asyncio, "wait_for", too_late)
    scene = Scene([[], [job("A", "failed"), job("B", "failed")]])
    monkeypatch.setattr(_tasks, "job_info_task", scene.job_info)
    with pytest.raises(_events.EventSourceError, match="has not confirmed an event within 7 seconds"):
        asyncio.run(_events.run(scene, {"feedback": True, "feedback_timeout": 7, "eda_feedback_queue": Confirmed(0)}, scene))
    assert len(scene.events) == 1
