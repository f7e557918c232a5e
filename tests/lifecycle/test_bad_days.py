"""Each fault of the local network alone: the task ends right or with one clear sentence, and the run after it finds one job and all its money."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from actors import host_key
from chain import Chain
from stage import PRICE, TIMEOUT, Poster, Stage, kinds

from ansible_collections.nosana.compute.plugins.module_utils._ansible import tasks
from ansible_collections.nosana.compute.plugins.module_utils._clients.errors import NosanaError, OutcomeUnknown
from ansible_collections.nosana.compute.plugins.module_utils._clients.http import Http
from nosana_localnet.faults import KINDS
from nosana_localnet.server import Settings
from nosana_localnet.thread import ThreadNetwork, running

pytestmark = pytest.mark.skipif(bool(os.environ.get("NOSANA_VALIDATOR")), reason="a real node has no switches")

# A task may need several requests, each of which the fault may strike; more often than this it passes.
DEPOSIT = PRICE * TIMEOUT
ONCE, OFTEN, ALWAYS = {"count": 1}, {"count": 3}, {}
HTTP = [name for name, kind in KINDS.items() if kind.place == "http" and kind.target == "*"]
GATEWAY = [name for name, kind in KINDS.items() if kind.place == "http" and kind.target == "/ipfs/*"]
CALLS = [name for name, kind in KINDS.items() if kind.place == "call"]


@pytest.fixture(scope="module")
def network() -> Iterator[ThreadNetwork]:
    """A network of its own, because its bad days would be everybody's."""
    with running(Settings(port=0, runner="process", hosts={})) as found:
        yield found


@pytest.fixture(scope="module")
def stage(network: ThreadNetwork) -> Stage:
    from actors import Faucet

    chain = Chain(network.url)
    return Stage(chain, Faucet(chain, network.call(lambda found: found.ledger.faucet)), network, iter([host_key(400)]))


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same client with shorter time-outs and pauses, so that nobody waits half a minute for a server that hangs."""

    class Impatient(Http):
        def __init__(self, clock: Any, **more: Any) -> None:
            super().__init__(clock, **{"timeout_seconds": 1.0, "attempts": 3} | more)

    monkeypatch.setattr(tasks, "Http", Impatient)


def run(poster: Poster, **options: Any) -> Any:
    """The result, or the error; either is the end of a task, and an error is one sentence."""
    try:
        result = poster.job(**options)
    except NosanaError as error:
        result, failure = None, error
    else:
        failure = result.failure
    if failure is not None:
        assert "\n" not in str(failure)
        assert str(failure).endswith((".", "…"))
        assert failure.code != "error"
    return result, failure


def afterwards(stage: Stage, poster: Poster) -> None:
    """The run after the last fault: one job, its deposit in the market and nothing else."""
    result = poster.job()
    assert result.failure is None
    (job,) = stage.chain.jobs_of(poster.address)
    assert result.values["id"] == str(job)
    assert stage.vault(poster.market) == DEPOSIT
    gone = poster.job(state="absent")
    assert kinds(gone) == ["delist"]
    assert stage.vault(poster.market) == 0
    assert stage.chain.jobs_of(poster.address) == []


@pytest.mark.parametrize("times", [ONCE, OFTEN, ALWAYS], ids=["once", "often", "always"])
@pytest.mark.parametrize("kind", HTTP)
def test_the_rpc_node_while_a_job_is_posted(stage: Stage, network: ThreadNetwork, kind: str, times: dict[str, Any]) -> None:
    poster = stage.poster()
    more = {"seconds": 0.2} if kind == "slow" else {}
    with network.faults({"kind": kind, "target": "*", **times, **more}):
        result, failure = run(poster)
    if times is ONCE or kind == "slow":
        assert failure is None
        assert kinds(result) == ["post"]
    elif times is ALWAYS and kind != "slow":
        assert failure is not None
    afterwards(stage, poster)


@pytest.mark.parametrize("kind", HTTP)
def test_the_sending_itself(stage: Stage, network: ThreadNetwork, kind: str) -> None:
    poster = stage.poster()
    more = {"seconds": 0.2} if kind == "slow" else {}
    with network.faults({"kind": kind, "target": "sendTransaction", **ONCE, **more}):
        result, failure = run(poster)
    assert (failure, kinds(result), result.values["changed"]) == (None, ["post"], True)
    afterwards(stage, poster)


@pytest.mark.parametrize("kind", CALLS)
def test_what_a_node_says_and_does(stage: Stage, network: ThreadNetwork, kind: str) -> None:
    poster = stage.poster()
    target = {"price": "sendTransaction"}.get(kind)
    more: dict[str, Any] = {"price": {"price": 7}, "unknown-signature": {"slots": 3}}.get(kind, {})
    rule = {"kind": kind, **ONCE, **({"target": target} if target else {}), **more}
    if kind in ("price", "queue-full", "market-closed"):
        pytest.skip("they strike a market of the genesis; tests/lifecycle/test_races.py has these on markets of its own")
    network.call(lambda found: found.ledger.settle())  # a fork reaches back to before the market was opened otherwise
    with network.faults(rule):
        result, failure = run(poster)
    if failure is None:
        assert kinds(result) == ["post"]
    if kind == "fork":
        network.call(lambda found: found.ledger.settle())
    if kind == "dropped":
        assert failure is None  # it was sent again
    afterwards(stage, poster)


@pytest.mark.parametrize("kind", GATEWAY)
def test_a_gateway_that_cannot_be_believed(stage: Stage, network: ThreadNetwork, kind: str) -> None:
    """To compare the declaration with the job, its definition has to be read; while it cannot be, nothing is replaced."""
    poster = stage.poster()
    job = poster.post()
    with network.faults({"kind": kind, "target": "/ipfs/*"}):
        result, failure = run(poster, env={"COLOUR": "red"})
        assert failure is not None
        assert result is None or not result.values["changed"]
    assert stage.chain.jobs_of(poster.address) == [job]
    afterwards(stage, poster)


@pytest.mark.parametrize("kind", ["unauthorized", "server-error", "reset-before", "lost", "hang-before"])
def test_a_pinning_service_that_fails_costs_nothing(stage: Stage, network: ThreadNetwork, kind: str) -> None:
    poster = stage.poster()
    before = poster.money
    with network.faults({"kind": kind, "target": "/pinning/*"}):
        _result, failure = run(poster)
    assert failure is not None
    assert poster.money == before
    afterwards(stage, poster)


@pytest.mark.parametrize("kind", ["garbage", "server-error", "html", "rate-limited"])
def test_a_market_list_that_cannot_be_read(stage: Stage, network: ThreadNetwork, kind: str) -> None:
    poster = stage.poster()
    before = poster.money
    with network.faults({"kind": kind, "target": "/api/*"}):
        _result, failure = run(poster, market="nvidia-3060")
    assert failure is not None
    assert "address" in str(failure)  # the way around it
    assert poster.money == before


def test_a_node_that_falls_silent_after_the_sending(stage: Stage, network: ThreadNetwork) -> None:
    poster = stage.poster()
    with network.faults({"kind": "server-error", "target": "getSignatureStatuses"}):
        _result, failure = run(poster)
    assert isinstance(failure, OutcomeUnknown)
    again = poster.job()
    assert (again.values["changed"], again.failure) == (False, None)
    afterwards(stage, poster)


def test_a_node_that_is_lost_in_the_middle_of_a_post_with_a_second_one_configured(stage: Stage, network: ThreadNetwork) -> None:
    """From the sending on, the first address answers nothing; the other one is of the same chain."""
    poster = stage.poster()
    host, port = network.url.removeprefix("http://").split(":")
    assert host == "127.0.0.1"
    rules = [
        {"kind": "server-error", "target": target, "skip": 0} for target in ("sendTransaction", "getSignatureStatuses", "getEpochInfo")
    ]
    with network.faults(*({**rule, "count": 1} for rule in rules)):
        result, failure = run(poster, rpc_url=[network.url, f"http://localhost:{port}"])
    assert (failure, kinds(result)) == (None, ["post"])
    afterwards(stage, poster)
