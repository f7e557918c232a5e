"""One name, whoever posted under it: jobs of other tools, several of them, and what cannot be: a clear sentence, and nothing spent."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest
from actors import list_job
from scenes import NEVER_PINNED, SUCCESS, Scene, scene
from solders.account import Account
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer
from stage import PRICE, TIMEOUT, Money, Stage, kinds
from test_races import said
from test_transitions import REAL, Run, kinds_of, pair, run

from ansible_collections.nosana.compute.plugins.module_utils._clients.errors import AmbiguousName
from ansible_collections.nosana.compute.plugins.module_utils._jobs.identity import Identity
from nosana_localnet import idl
from nosana_localnet.genesis import JOBS_PROGRAM
from nosana_localnet.ledger import SYSTEM_PROGRAM
from nosana_localnet.server import Network

DEFINITION: dict[str, Any] = {
    "version": "0.1",
    "type": "container",
    "meta": {"name": "job"},
    "ops": [{"type": "container/run", "id": "run", "args": {"image": "nginx"}}],
}
OTHER = DEFINITION | {"ops": [{"type": "container/run", "id": "run", "args": {"image": "caddy"}}]}
ABSENT = {"state": "absent"}
only_alone = pytest.mark.skipif(REAL, reason="writes to the ledger")


@pytest.fixture
def here(alone: Stage) -> Scene:
    return scene(alone)


def listed(here: Scene, definition: dict[str, Any] | None = None) -> Pubkey:
    """A job under fresh keys, as other tools post it."""
    return list_job(here.stage.chain, here.poster.key, here.poster.market, here.stage.pin(definition or DEFINITION), timeout=TIMEOUT)


def derived(here: Scene, generation: int = 0) -> Pubkey:
    return Identity(here.poster.key, program=str(JOBS_PROGRAM), name="job").key(generation, "job").pubkey()


def refused(ran: Run, code: str) -> str:
    """The sentence; nothing at all was spent."""
    assert ran.error is not None
    assert (ran.error.code, ran.spent) == (code, Money(0, 0))
    return said(ran.error)


def same_in_both_passes(here: Scene, code: str, **options: Any) -> str:
    """The sentence with which check and run fail."""
    check, real = pair(here, **options)
    assert refused(check, code) == refused(real, code)
    return refused(real, code)


# --- jobs of other tools --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("definition", "on_change", "done"), [(DEFINITION, "replace", []), (OTHER, "replace", ["delist", "post"]), (OTHER, "ignore", [])]
)
def test_a_job_of_another_tool_is_adopted(here: Scene, definition: dict[str, Any], on_change: str, done: list[str]) -> None:
    job = listed(here, definition)
    for wanted in (done, []):
        check, real = pair(here, job_definition=DEFINITION, on_change=on_change)
        assert kinds_of(real) == wanted
        assert check.values["diff"] == real.values["diff"]
        assert check.values["changed"] == real.values["changed"] == bool(wanted)
        assert check.values["id"] == real.values["id"] == str(derived(here) if done else job)
    assert here.books().active == [derived(here) if done else job]


def test_a_changed_job_of_another_tool_is_left_where_change_fails(here: Scene) -> None:
    job = listed(here, OTHER)
    assert str(job) in same_in_both_passes(here, "change_refused", job_definition=DEFINITION, on_change="fail")


@pytest.mark.parametrize("ended", [True, False])
def test_after_a_job_of_another_tool_comes_one_of_ours(here: Scene, ended: bool) -> None:
    job = listed(here)
    host = here.host()
    host.work()
    if ended:
        assert kinds_of(run(here, check_mode=False, **ABSENT)) == ["end"]
    else:
        host.finish(job, here.stage.pin(SUCCESS))
    check, real = pair(here, job_definition=DEFINITION)
    if not ended:
        # It was adopted while it ran, so it is not paid for again now that it is over.
        assert (kinds_of(real), real.values["id"], real.values["status"]) == ([], str(job), "completed")
        check, real = pair(here, job_definition=DEFINITION, rerun="finished")
    assert kinds_of(real) == ["post"]
    assert check.values["id"] == real.values["id"] == str(derived(here))
    assert kinds_of(run(here, check_mode=False, job_definition=DEFINITION)) == []


# --- two active jobs ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ours", [True, False])
def test_two_active_jobs_of_a_name(here: Scene, ours: bool) -> None:
    first = here.poster.post() if ours else listed(here)
    second = listed(here, OTHER)
    books = here.books()
    tasks: list[dict[str, Any]] = [ABSENT, ABSENT | {"purge": True}, {"job_definition": DEFINITION, "rerun": "always"}]
    if not ours:
        # While ours is as declared that is all that a task asks (one question to the chain); who changes anything sees both.
        tasks.append({"job_definition": DEFINITION})
    for options in tasks:
        for check_mode in (True, False):
            with pytest.raises(AmbiguousName, match="2 active jobs have the name job") as raised:
                here.poster.job(check_mode=check_mode, **options)
            assert sorted(raised.value.details["addresses"]) == sorted(map(str, (first, second)))
            assert all(str(job) in said(raised.value) for job in (first, second))
            assert here.books() == books
    removed = here.poster.job(state="absent", name=None, id=str(second))
    assert (removed.failure, kinds(removed)) == (None, ["delist"])
    assert here.books().active == [first]
    assert not here.poster.job(job_definition=DEFINITION, on_change="ignore").values["changed"]


# --- what was asked for cannot be -----------------------------------------------------------------------------------------


def test_a_definition_of_another_name(here: Scene) -> None:
    sentence = same_in_both_passes(here, "invalid_input", job_definition=DEFINITION, name="web")
    assert "job" in sentence
    assert "web" in sentence


@pytest.mark.parametrize("timeout", [0, -1, 2**63, 2**63 - 1, 10**30])
@pytest.mark.parametrize("found", ["nothing", "queued"])
def test_a_timeout_that_cannot_be(here: Scene, found: str, timeout: int) -> None:
    if found == "queued":
        here.poster.post()
    check, real = pair(here, timeout=timeout)
    assert check.error is not None
    assert real.error is not None
    assert check.error.code == real.error.code
    assert check.error.code in ("invalid_input", "insufficient_funds")
    assert said(check.error) == said(real.error)
    assert (check.spent, real.spent) == (Money(0, 0), Money(0, 0))


@pytest.mark.parametrize("found", ["nothing", "queued", "running", "stopped"])
def test_a_host_that_does_not_wait(here: Scene, found: str) -> None:
    if found != "nothing":
        job, host = here.poster.post(), here.host()
        if found != "queued":
            host.work()
        if found == "stopped":
            host.quit(job)
    stranger = here.host(market=here.other)
    stranger.work()
    sentence = same_in_both_passes(here, "invalid_input", node=str(stranger.address))
    assert sentence.startswith(f"The host {stranger.address} does not wait in the market {here.poster.market}")


# --- what others wrote ----------------------------------------------------------------------------------------------------

HUGE, PROSE, FORGED = b'"' + b"x" * (9 * 1024 * 1024) + b'"', b"once upon a time", b"forged"


def pinned(here: Scene, content: bytes) -> str:
    """Content on IPFS; what is forged is no content of its address."""

    def put(network: Network) -> str:
        cid = network.store.add(content + bytes(here.poster.address) if content == FORGED else content)
        if content == FORGED:
            cast(dict[str, bytes], network.store.everything())[cid] = b"{}"
        return cid

    return here.stage.network.call(put)


@pytest.mark.parametrize("content", [HUGE, PROSE, FORGED, b"[" * 200 + b"]" * 200], ids=["huge", "prose", "forged", "deep"])
def test_a_definition_that_cannot_be_read(here: Scene, content: bytes) -> None:
    """The job stands at the name's own address, and what it runs is not known: it is neither kept as the same nor replaced as another."""
    identity = Identity(here.poster.key, program=str(JOBS_PROGRAM), name="job")
    keys = identity.key(0, "job"), identity.key(0, "run")
    list_job(here.stage.chain, here.poster.key, here.poster.market, pinned(here, content), timeout=TIMEOUT, keys=keys)
    same_in_both_passes(here, "unexpected_answer")
    same_in_both_passes(here, "unexpected_answer", rerun="always")
    assert kinds_of(run(here, check_mode=False, **ABSENT)) == ["delist"]
    assert here.jobs == []


@pytest.mark.parametrize("content", [HUGE, PROSE, FORGED, None], ids=["huge", "prose", "forged", "missing"])
def test_a_result_that_cannot_be_read(here: Scene, content: bytes | None) -> None:
    job, host = here.poster.post(), here.host()
    host.work()
    host.finish(job, NEVER_PINNED if content is None else pinned(here, content))
    for rerun in ("never", "failed"):
        check, real = pair(here, rerun=rerun)
        assert kinds_of(real) == []
        for each in (check, real):
            assert (each.values["status"], each.values["job"]["reason"]) == ("failed", "result_unavailable")


def foreign(data: Callable[[Scene], bytes], owner: Pubkey = JOBS_PROGRAM) -> Callable[[Scene], None]:
    def put(here: Scene) -> None:
        account = Account(10_000_000, data(here), owner)
        here.stage.network.call(lambda network: network.ledger.put(derived(here), account))

    return put


def market_of(here: Scene) -> bytes:
    data = here.stage.chain.data(here.poster.market)
    assert data is not None
    return data


@only_alone
@pytest.mark.parametrize(
    "content",
    [
        foreign(market_of),
        foreign(lambda here: bytes(240)),
        foreign(lambda here: idl.discriminator("account", "JobAccount")),
        foreign(lambda here: b""),
    ],
    ids=["a market", "zeros", "a head", "nothing"],
)
def test_foreign_content_at_the_names_address(here: Scene, content: Callable[[Scene], None]) -> None:
    content(here)
    for options in ({}, ABSENT):
        check = run(here, check_mode=True, **options)
        real = run(here, check_mode=False, **options)
        assert refused(check, "unexpected_answer") == refused(real, "unexpected_answer")


def test_money_sent_to_the_names_address(here: Scene) -> None:
    """A gift has a history, and a node that forgets would show of an old job no more than that: nothing is paid but when it is asked for."""
    faucet = here.stage.faucet.key
    here.stage.chain.send([transfer(TransferParams(from_pubkey=faucet.pubkey(), to_pubkey=derived(here), lamports=1_000_000))], [faucet])
    assert "rerun=finished" in same_in_both_passes(here, "history_unavailable")
    check, real = pair(here, rerun="finished")
    assert kinds_of(real) == ["post"]
    assert check.values["id"] == real.values["id"] == str(derived(here, 1))
    assert -real.spent.nos == TIMEOUT * PRICE


@only_alone
def test_money_at_the_names_address_that_has_no_history(here: Scene) -> None:
    foreign(lambda here: b"", SYSTEM_PROGRAM)(here)
    """Of whatever it is, there is nothing that the program could not make a job of."""
    check, real = pair(here)
    assert kinds_of(real) == ["post"]
    assert check.values["id"] == real.values["id"] == str(derived(here))
    assert kinds_of(run(here, check_mode=False)) == []
