"""How often the collection asks: an unchanged job takes one request, a posting and a removal four round trips and their confirmation."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from actors import Host, list_job
from relay import Answer, Relay, Request, honest, relaying
from stage import TIMEOUT, Poster, Stage, kinds
from test_lifecycle import SUCCESS
from waves import SEND, Waves, counting

# The status of the transaction, what it did, and the job afterwards. A slow node is asked and sent to more than once.
CONFIRMATION = ["getMultipleAccounts", "getSignatureStatuses", "getTransaction"]


@pytest.fixture(scope="module")
def relay(stage: Stage) -> Iterator[Relay]:
    with relaying(stage.chain.url, stage.network.url) as found:
        yield found


@pytest.fixture
def observed(relay: Relay) -> Callable[..., Waves]:
    """Runs a task, holds its words against `done`, and returns what it asked, which the relay counted too."""

    def run(poster: Poster, done: list[str], **options: Any) -> Waves:
        relay.forget()
        with counting() as waves:
            result = poster.job(**relay.options, **options)
        assert (result.failure, kinds(result), result.values["changed"]) == (None, done, bool(done))
        assert waves.counts == relay.counts
        if done:
            after = [kind for trip in waves.trips[waves.before_confirmation :] for kind in trip]
            assert sorted(set(after) - {"getEpochInfo", SEND}) == CONFIRMATION
        return waves

    return run


Run = Callable[..., Waves]


def glance(stage: Stage) -> int:
    """Whether it has to be asked if the last job has settled: on a real node it is too young for that to be plain at a glance."""
    return 0 if stage.alone else 1


def given_up(stage: Stage, poster: Poster) -> Host:
    """A job of the poster's that its host gave up."""
    host = stage.host(poster.market)
    job = poster.post()
    host.work()
    host.quit(job)
    return host


def finished(stage: Stage, poster: Poster) -> None:
    """A job of the poster's that is over."""
    host = stage.host(poster.market)
    job = poster.post()
    host.work()
    host.finish(job, stage.pin(SUCCESS))


# --- nothing to do --------------------------------------------------------------------------------------------------------


def test_unchanged_and_waiting(stage: Stage, observed: Run) -> None:
    poster = stage.poster()
    poster.post()
    assert observed(poster, []).trips == [["getMultipleAccounts"]]


def test_unchanged_and_running_since_it_was_posted(stage: Stage, observed: Run) -> None:
    poster = stage.poster()
    stage.host(poster.market).work()
    poster.post()
    assert observed(poster, []).trips == [["getMultipleAccounts"]]


def test_unchanged_and_taken_by_a_host_that_chose_the_address_of_its_run(stage: Stage, observed: Run) -> None:
    """The first run has to search for it; later ones know where it is."""
    poster = stage.poster()
    poster.post()
    stage.host(poster.market).work()
    assert observed(poster, []).trips == [["getMultipleAccounts"], ["getProgramAccounts"]]
    assert observed(poster, []).trips == [["getMultipleAccounts"]]


def test_unchanged_in_a_market_named_by_its_slug(stage: Stage, observed: Run) -> None:
    poster = stage.poster()
    poster.post(market="nvidia-3060", timeout=10)
    waves = observed(poster, [], market="nvidia-3060", timeout=10)
    assert waves.trips == [["markets"], ["getMultipleAccounts"]]
    again = observed(poster, [], market="nvidia-3060", timeout=10)
    assert [sorted(trip) for trip in again.trips] == [["getMultipleAccounts", "markets"]]
    assert observed(poster, ["delist"], state="absent").before_confirmation <= 3


def test_unchanged_and_over(stage: Stage, observed: Run) -> None:
    """Nothing runs under the name any more, so it has to be asked whether another tool has posted it."""
    poster = stage.poster()
    finished(stage, poster)
    assert len(observed(poster, []).trips) == 5  # the first time, who brought it to its end is read from its history
    waves = observed(poster, [])
    assert (len(waves.trips), waves.counts["read"]) == (3, 1)


def test_absent_and_gone(stage: Stage, observed: Run) -> None:
    assert len(observed(stage.poster(), [], state="absent").trips) == 2


def test_info_by_name(stage: Stage, relay: Relay) -> None:
    poster = stage.poster()
    poster.post()
    relay.forget()
    with counting() as waves:
        (job,) = poster.info(name="job", **relay.options)
    assert job["status"] == "pending"
    assert len(waves.trips) <= 4
    assert waves.counts["read"] == 0


# --- changes --------------------------------------------------------------------------------------------------------------


def test_posting(stage: Stage, observed: Run) -> None:
    waves = observed(stage.poster(), ["post"])
    assert waves.before_confirmation == 4
    # The last look at the address goes beside the pin.
    assert [sorted(trip) for trip in waves.trips[2:4]] == [["getSignaturesForAddress", "pin"], [SEND]]


def test_posting_onto_a_host_that_waits(stage: Stage, observed: Run) -> None:
    poster = stage.poster()
    stage.host(poster.market).work()
    assert observed(poster, ["post"]).before_confirmation == 4


def test_posting_in_a_market_named_by_its_slug(stage: Stage, observed: Run) -> None:
    """The market list has to be read before the market can be."""
    poster = stage.poster()
    waves = observed(poster, ["post"], market="nvidia-4090", timeout=10)
    assert waves.before_confirmation == 5
    assert observed(poster, ["post"], name="other", market="nvidia-4090", timeout=10).before_confirmation == 5
    for name in ("job", "other"):
        poster.job(name=name, state="absent")


def test_posting_beside_other_jobs_of_ours(stage: Stage, observed: Run) -> None:
    """What we have posted ourselves we need not read from IPFS to know its name."""
    poster = stage.poster()
    for number in range(3):
        poster.post(name=f"other-{number}")
    waves = observed(poster, ["post"])
    assert (waves.before_confirmation, waves.counts["read"]) == (4, 0)


def test_posting_what_was_removed(stage: Stage, observed: Run) -> None:
    """One more than a first posting, because what became of the last job is read from its history."""
    poster = stage.poster()
    assert observed(poster, ["post"]).before_confirmation == 4
    for _time in range(2):
        assert observed(poster, ["delist"], state="absent").before_confirmation <= 4
        stage.settle()
        assert observed(poster, ["post"]).before_confirmation <= 6 + glance(stage)


def test_posting_again_what_is_over(stage: Stage, observed: Run) -> None:
    poster = stage.poster()
    finished(stage, poster)
    assert observed(poster, ["post"], rerun="finished").before_confirmation <= 7


def test_extending(stage: Stage, observed: Run) -> None:
    poster = stage.poster()
    poster.post()
    assert observed(poster, ["extend"], timeout=TIMEOUT + 1).before_confirmation == 3


def test_replacing(stage: Stage, observed: Run) -> None:
    """One more than a posting: whether the job is another has to be read from its definition."""
    poster = stage.poster()
    poster.post()
    stage.settle()
    waves = observed(poster, ["delist", "post"], env={"COLOUR": "red"})
    assert (waves.before_confirmation, waves.trips[1]) == (5 + glance(stage), ["read"])


def test_replacing_what_was_given_up(stage: Stage, observed: Run) -> None:
    poster = stage.poster()
    given_up(stage, poster)
    stage.settle()
    assert observed(poster, ["recover", "post"]).before_confirmation <= 6 + glance(stage)


@pytest.mark.parametrize("known", [True, False])
def test_removing(stage: Stage, observed: Run, monkeypatch: pytest.MonkeyPatch, known: bool) -> None:
    """Whether or not an earlier run left anything in the cache."""
    if not known:
        monkeypatch.setenv("NOSANA_CACHE", "off")
    queued, running, taken, stopped = (stage.poster() for _poster in range(4))
    queued.post()
    assert observed(queued, ["delist"], state="absent").before_confirmation <= 4
    stage.host(running.market).work()
    running.post()
    assert observed(running, ["end"], state="absent").before_confirmation <= 4
    taken.post()
    stage.host(taken.market).work()
    assert observed(taken, ["end"], state="absent").before_confirmation <= 4
    given_up(stage, stopped)
    assert observed(stopped, ["recover"], state="absent").before_confirmation <= 4


def test_a_stopped_job_that_was_claimed_and_finished_while_it_was_asked_about(stage: Stage, relay: Relay) -> None:
    """It is no longer read on its own; the list of open jobs tells that it is not among them any more."""
    poster = stage.poster()
    given_up(stage, poster)
    other = stage.host(poster.market)
    (job,) = stage.chain.jobs_of(poster.address)
    searches: list[bytes] = []

    def meddle(request: Request, pass_on: Callable[[], Answer]) -> Answer:
        answer = pass_on()
        if request.kind == "getProgramAccounts" and not searches:
            searches.append(request.body)
            other.claim(job)
            other.finish(job, stage.pin(SUCCESS))
        return answer

    relay.meddle = meddle
    try:
        result = poster.job(**relay.options, wait_for="completed")
    finally:
        relay.meddle = honest
    assert (result.failure, kinds(result), result.values["status"]) == (None, [], "completed")
    assert searches


def test_a_job_of_another_tool(stage: Stage, observed: Run) -> None:
    """It stands at an address that nobody can foretell, so it takes a search."""
    poster = stage.poster()
    definition = {"version": "0.1", "type": "container", "meta": {"name": "job"}, "ops": [ONE_OP]}
    list_job(stage.chain, poster.key, poster.market, stage.pin(definition), timeout=TIMEOUT)
    assert len(observed(poster, [], job_definition=definition).trips) == 3
    assert len(observed(poster, [], job_definition=definition).trips) == 3
    stage.host(poster.market).work()
    assert len(observed(poster, [], job_definition=definition).trips) <= 4
    assert observed(poster, ["end"], state="absent").before_confirmation <= 6
    assert observed(poster, [], name="other", state="absent").trips
    assert observed(poster, ["post"], job_definition=definition).before_confirmation == 4


ONE_OP = {"type": "container/run", "id": "job", "args": {"image": "nginx"}}
