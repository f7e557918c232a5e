"""A node that loses answers, forgets signatures or swallows transactions: the report is true, and nothing is posted twice."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from actors import Host
from chain import until
from relay import Answer, Meddle, Relay, Request, honest, relaying, rpc_error, rpc_result
from solders.pubkey import Pubkey
from stage import PRICE, TIMEOUT, Money, Poster, Stage, kinds
from test_lifecycle import SUCCESS

from ansible_collections.nosana.compute.plugins.module_utils._ansible import tasks
from ansible_collections.nosana.compute.plugins.module_utils._ansible.tasks import TaskResult
from ansible_collections.nosana.compute.plugins.module_utils._clients.clock import SystemClock
from ansible_collections.nosana.compute.plugins.module_utils._clients.errors import NosanaError

DEPOSIT = PRICE * TIMEOUT
DONE = 2
SEND, STATUS = "sendTransaction", "getSignatureStatuses"
on_local_network = pytest.mark.skipif(bool(os.environ.get("NOSANA_VALIDATOR")), reason="nobody can put a real chain's clock forward")


class Quick(SystemClock):
    """Waits a tenth of the time, because what is lost here stays lost however long it is waited for."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / 10)


@pytest.fixture(scope="module")
def relay(stage: Stage) -> Iterator[Relay]:
    with relaying(stage.chain.url, stage.network.url) as found:
        yield found


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "SystemClock", Quick)


@pytest.fixture
def through(relay: Relay) -> Callable[..., tuple[TaskResult | NosanaError, list[str]]]:
    """Runs a task through a relay that meddles: the result or the error, and the signatures of what was sent, without repetitions."""

    def run(poster: Poster, meddle: Meddle, **options: Any) -> tuple[TaskResult | NosanaError, list[str]]:
        sent: list[str] = []

        def noted(request: Request, pass_on: Callable[[], Answer]) -> Answer | None:
            if request.kind == SEND:
                sent.append(json.loads(request.body)["params"][0])
            return meddle(request, pass_on)

        relay.meddle = noted
        try:
            result: TaskResult | NosanaError = poster.job(**relay.options, **options)
        except NosanaError as error:
            result = error
        finally:
            relay.meddle = honest
        return result, list(dict.fromkeys(sent))

    return run


Through = Callable[..., tuple[TaskResult | NosanaError, list[str]]]


def loses_answers(kind: str, times: int) -> Meddle:
    """What is asked is done, and nobody is told."""
    left = [times]

    def meddle(request: Request, pass_on: Callable[[], Answer]) -> Answer | None:
        answer = pass_on()
        if request.kind != kind or not left[0]:
            return answer
        left[0] -= 1
        return None

    return meddle


def once_posted(stage: Stage, poster: Poster, before: Money, result: TaskResult | NosanaError) -> None:
    """A true report of one posting: the job that is there, its transaction, the wallet's change."""
    assert isinstance(result, TaskResult)
    assert (result.failure, result.values["changed"], kinds(result)) == (None, True, ["post"])
    (job,) = stage.chain.jobs_of(poster.address)
    assert result.values["id"] == str(job)
    change = poster.money - before
    assert result.values["balance_change"] == {
        "nos_base_units": change.nos,
        "lamports": change.lamports,
        "fee_lamports": stage.fees(result),
    }
    assert change.nos == -DEPOSIT
    assert stage.vault(poster.market) == DEPOSIT


def finished(stage: Stage, poster: Poster, host: Host) -> None:
    """A job of the poster's that is over."""
    job = poster.post()
    host.work()
    host.finish(job, stage.pin(SUCCESS))


def test_a_posting_that_is_held_up_does_not_land_beside_the_next_job(stage: Stage, through: Through) -> None:
    """One run's posting is held up on its way, another run posts the job, a third replaces it: then the first one's copy arrives."""
    poster = stage.poster()
    held: list[bytes] = []

    def holds(request: Request, pass_on: Callable[[], Answer]) -> Answer:
        if request.kind != SEND:
            return pass_on()
        held.append(request.body)
        return rpc_error(-32602, "not now")

    through(poster, holds)
    first = poster.post()
    told: list[str] = []
    replaced = asyncio.run(poster.job_in_loop(image="httpd", tell=told.append))
    assert (replaced.failure, kinds(replaced)) == (None, ["delist", "post"])
    assert [line for line in told if str(first) in line and "waiting for" in line]
    answer = httpx.post(stage.chain.url, content=held[0], headers={"Content-Type": "application/json"}, timeout=10).json()
    assert answer["error"]["data"]["err"] == "BlockhashNotFound"
    assert [str(job) for job in stage.chain.jobs_of(poster.address)] == [replaced.values["id"]]
    assert stage.vault(poster.market) == DEPOSIT


@pytest.mark.parametrize("times", [1, 1000], ids=["once", "always"])
def test_the_answer_to_the_sending_is_lost(stage: Stage, through: Through, times: int) -> None:
    poster = stage.poster()
    before = poster.money
    result, sent = through(poster, loses_answers(SEND, times))
    once_posted(stage, poster, before, result)
    assert len(sent) == 1
    assert not poster.job().values["changed"]


@pytest.mark.parametrize("times", [1, 1000], ids=["once", "always"])
def test_the_answer_to_a_replacement_is_lost(stage: Stage, through: Through, times: int) -> None:
    poster = stage.poster()
    first = poster.post()
    held = poster.money
    result, sent = through(poster, loses_answers(SEND, times), env={"COLOUR": "red"})
    assert isinstance(result, TaskResult)
    assert (result.failure, kinds(result), len(sent)) == (None, ["delist", "post"], 1)
    assert stage.chain.jobs_of(poster.address) == [Pubkey.from_string(result.values["id"])] != [first]
    assert (stage.vault(poster.market), (poster.money - held).nos) == (DEPOSIT, 0)


def test_the_answer_to_a_removal_is_lost(stage: Stage, through: Through) -> None:
    poster = stage.poster()
    poster.post()
    result, sent = through(poster, loses_answers(SEND, 1000), state="absent")
    assert isinstance(result, TaskResult)
    assert (result.failure, kinds(result), len(sent)) == (None, ["delist"], 1)
    assert stage.chain.jobs_of(poster.address) == []


def test_the_node_forgets_the_signature_for_a_while(stage: Stage, through: Through) -> None:
    """It does not know what it has processed, and refuses the same bytes when they come again."""
    poster = stage.poster()
    before = poster.money
    asked: list[str] = []

    def meddle(request: Request, pass_on: Callable[[], Answer]) -> Answer:
        if request.kind == STATUS:
            asked.append(request.kind)
            if len(asked) <= 10:
                return rpc_result({"context": {"slot": 1}, "value": [None]})
        return pass_on()

    result, sent = through(poster, meddle)
    once_posted(stage, poster, before, result)
    assert len(sent) == 1
    assert len(asked) >= 11


def test_the_node_does_not_show_what_the_transaction_did(stage: Stage, through: Through) -> None:
    poster = stage.poster()

    def meddle(request: Request, pass_on: Callable[[], Answer]) -> Answer:
        return rpc_result(None) if request.kind == "getTransaction" else pass_on()

    result, _sent = through(poster, meddle)
    assert isinstance(result, TaskResult)
    assert (result.failure, result.values["changed"], kinds(result)) == (None, True, ["post"])
    assert (result.values["balance_change"], result.values["actions"][0]["nos_base_units"]) == (None, None)
    assert any(result.values["actions"][0]["signature"] in warning for warning in result.warnings)
    assert not poster.job().values["changed"]


def swallowing(stage: Stage, expire_after: int) -> Meddle:
    """What is sent never arrives; time passes."""
    polls: list[str] = []

    def meddle(request: Request, pass_on: Callable[[], Answer]) -> Answer:
        if request.kind == SEND:
            raw = json.loads(request.body)["params"][0]
            assert raw
            return rpc_result("1" * 64)
        if request.kind == STATUS:
            polls.append(request.kind)
            if len(polls) == expire_after:
                stage.network.warp(3600)
        return pass_on()

    return meddle


@on_local_network
def test_the_transaction_never_arrives(stage: Stage, through: Through) -> None:
    """It is sent as long as it may land, and then it is certain that it never will."""
    poster = stage.poster()
    before = poster.money
    result, sent = through(poster, swallowing(stage, 9))
    assert isinstance(result, TaskResult)
    assert result.failure is not None
    assert (result.failure.code, result.failure.retryable) == ("transaction_expired", True)
    assert "nothing was paid" in str(result.failure)
    assert (result.values["changed"], result.values["actions"], len(sent)) == (False, [], 1)
    assert (poster.money, stage.chain.jobs_of(poster.address)) == (before, [])
    poster.post()
    assert stage.vault(poster.market) == DEPOSIT


@on_local_network
def test_a_replacement_that_never_arrives_leaves_the_job(stage: Stage, through: Through) -> None:
    poster = stage.poster()
    job = poster.post()
    held = poster.money
    result, _sent = through(poster, swallowing(stage, 5), env={"COLOUR": "red"})
    assert isinstance(result, TaskResult)
    assert result.failure is not None
    assert (result.values["changed"], result.values["actions"]) == (False, [])
    assert (poster.money, stage.chain.jobs_of(poster.address)) == (held, [job])
    assert kinds(poster.job(env={"COLOUR": "red"})) == ["delist", "post"]


def test_the_node_falls_silent_after_the_sending(stage: Stage, through: Through) -> None:
    """Nobody can say then what became of it: the task fails, says so, and the next run finds the job."""
    poster = stage.poster()
    sent: list[str] = []

    def meddle(request: Request, pass_on: Callable[[], Answer]) -> Answer | None:
        if sent:
            return None
        answer = pass_on()
        if request.kind == SEND:
            sent.append(request.kind)
        return answer

    result, _sent = through(poster, meddle)
    assert isinstance(result, TaskResult)
    assert result.failure is not None
    assert (result.failure.code, result.values["changed"]) == ("outcome_unknown", False)
    (job,) = until(lambda: stage.chain.jobs_of(poster.address))
    assert result.values["id"] == str(job)
    found = poster.job()
    assert (found.values["changed"], found.values["id"]) == (False, str(job))
    assert stage.vault(poster.market) == DEPOSIT


@dataclass
class Between:
    """Another run, from beginning to end, just before a question of ours is passed on; the one with that number, of one kind or of any."""

    poster: Poster
    moment: int
    wish: dict[str, Any]
    kind: str | None = None
    asked: list[str] = field(default_factory=list)
    result: TaskResult | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, request: Request, pass_on: Callable[[], Answer]) -> Answer:
        if self.kind in (None, request.kind):
            with self.lock:
                self.asked.append(request.kind)
                now = len(self.asked) == self.moment + 1
            if now:
                self.result = self.poster.job(**self.wish)
        return pass_on()


WISHES: dict[str, dict[str, Any]] = {
    "post": {},
    "replace": {"env": {"COLOUR": "red"}},
    "absent": {"state": "absent"},
    "rerun": {"rerun": "finished"},
}


def test_replaced_by_another_run_while_it_was_looked_at(stage: Stage, through: Through) -> None:
    """The job that was seen first and the one that has taken its place are not two jobs of one name."""
    poster = stage.poster()
    poster.post()
    stage.settle()
    between = Between(poster, 0, WISHES["replace"], kind="read")
    result, sent = through(poster, between, **WISHES["replace"])
    assert isinstance(result, TaskResult)
    assert (result.failure, result.values["changed"], sent) == (None, False, [])
    assert between.result is not None
    assert kinds(between.result) == ["delist", "post"]
    assert stage.chain.jobs_of(poster.address) == [Pubkey.from_string(result.values["id"])]


@on_local_network
@pytest.mark.parametrize(
    ("ours", "theirs", "together"),
    [
        ("post", "post", [["post"]]),
        ("replace", "replace", [["delist", "post"]]),
        ("rerun", "rerun", [["post"]]),
        ("absent", "absent", [["delist"]]),
        ("replace", "absent", []),
        ("absent", "replace", []),
    ],
)
def test_another_run_at_any_moment_of_ours(stage: Stage, through: Through, ours: str, theirs: str, together: list[list[str]]) -> None:
    """Before each of our questions in turn: whenever it happens, both reports are true, and together they are what happened."""
    market = stage.market()
    host = stage.host(market)
    for moment in range(50):
        poster = stage.poster(market)
        if ours == "rerun":
            finished(stage, poster, host)
        elif ours != "post":
            poster.post()
        stage.settle()
        before = poster.money
        between = Between(poster, moment, WISHES[theirs])
        mine, _sent = through(poster, between, **WISHES[ours])
        if between.result is None:
            break
        assert isinstance(mine, TaskResult), (moment, mine)
        results = [mine, between.result]
        told = (between.asked, [kinds(result) for result in results])
        assert [result.failure for result in results] == [None, None], told
        assert sorted(done for result in results if (done := kinds(result))) == together or ours != theirs, told
        assert all(result.values["changed"] == bool(kinds(result)) for result in results), told
        changes = [result.values["balance_change"] for result in results]
        assert Money(*(sum(change[unit] for change in changes) for unit in ("lamports", "nos_base_units"))) == poster.money - before, told
        active = [job for job in stage.chain.jobs_of(poster.address) if (account := stage.chain.job(job)) and account["state"] != DONE]
        assert stage.vault(poster.market) == len(active) * DEPOSIT, told
        if ours == theirs:
            assert len(active) == (0 if ours == "absent" else 1), told
            assert active == [] or {result.values["id"] for result in results} == {str(active[0])}, told
        else:
            assert len(active) <= 1, told
        poster.job(state="absent")  # the market is used again
    assert moment >= 5
