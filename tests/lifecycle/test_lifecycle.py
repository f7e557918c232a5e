"""A job's way through the network by the collection, from nothing to the last base unit, on whatever chain the stage has."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from actors import Host, clean, list_job
from chain import Failed, until
from solders.pubkey import Pubkey
from stage import LAMPORTS_PER_SOL, PRICE, TIMEOUT, Money, Poster, Stage, kinds, told

from ansible_collections.nosana.compute.plugins.module_utils._ansible.tasks import TaskResult
from ansible_collections.nosana.compute.plugins.module_utils._clients.errors import InsufficientFunds

JOB_RENT, RUN_RENT, TOKEN_ACCOUNT_RENT = 2_561_280, 1_726_080, 2_039_280
DEPOSIT = PRICE * TIMEOUT
SUCCESS = {
    "status": "success",
    "startTime": 1,
    "endTime": 2,
    "opStates": [{"operationId": "run", "status": "success", "exitCode": 0, "logs": [{"type": "stdout", "log": "done\n"}]}],
}
FAILURE = {"status": "success", "opStates": [{"operationId": "run", "status": "failed", "exitCode": 3, "logs": []}]}


def only(poster: Poster) -> dict[str, Any]:
    """The one job of a wallet, as the collection tells of it."""
    (job,) = poster.info(include=["cost", "logs"])
    return job


def let_pass(stage: Stage, seconds: int) -> None:
    """So many seconds of the chain's own time; nobody can put a real chain's clock forward."""
    end = stage.chain.now() + seconds
    until(lambda: stage.chain.now() >= end)


def elapsed(stage: Stage, job: Pubkey) -> int:
    """Seconds from a job's start to its end, as the chain has them."""
    account = stage.chain.job(job)
    assert account is not None
    seconds: int = account["time_end"] - account["time_start"]
    return seconds


# --- a job that waits -----------------------------------------------------------------------------------------------------


def test_check_mode_sends_nothing_and_tells_what_comes(stage: Stage) -> None:
    poster = stage.poster()
    before = poster.money
    predicted = poster.job(check_mode=True)
    assert predicted.values["changed"]
    assert (poster.money, poster.info()) == (before, [])
    posted = poster.job()
    assert posted.values["diff"] == predicted.values["diff"]
    message = {"message": posted.values["job"]["message"]}
    assert posted.values["job"] == predicted.values["job"] | message


def test_posted_kept_extended_removed(stage: Stage) -> None:
    poster = stage.poster()
    begin = poster.money

    posted = poster.job()
    assert (kinds(posted), posted.values["status"]) == (["post"], "pending")
    assert poster.money - begin == Money(-JOB_RENT - stage.fees(posted), -DEPOSIT) == told(posted)
    assert stage.vault(poster.market) == DEPOSIT

    held = poster.money
    again = poster.job()
    assert (again.values["changed"], again.values["actions"], again.values["id"]) == (False, [], posted.values["id"])
    assert poster.money == held

    longer = poster.job(timeout=TIMEOUT + 100)
    assert (kinds(longer), longer.values["job"]["timeout"]) == (["extend"], TIMEOUT + 100)
    assert poster.money - held == Money(-stage.fees(longer), -100 * PRICE)
    assert not poster.job(timeout=TIMEOUT + 100).values["changed"]

    removed = poster.job(state="absent")
    assert (kinds(removed), removed.values["status"]) == (["delist"], "cancelled")
    assert stage.chain.jobs_of(poster.address) == []
    fees = sum(map(stage.fees, (posted, longer, removed)))
    assert poster.money - begin == Money(-fees, 0) == told(posted, longer, removed)
    assert stage.vault(poster.market) == 0
    assert not poster.job(state="absent").values["changed"]


def test_an_address_that_had_a_job_is_not_used_again(stage: Stage) -> None:
    poster = stage.poster()
    addresses = []
    for _time in range(3):
        addresses.append(poster.post())
        assert kinds(poster.job(state="absent")) == ["delist"]
    assert len(set(addresses)) == 3


def test_the_market_by_its_slug(stage: Stage) -> None:
    """The market list is the local network's, the market the chain's."""
    poster = stage.poster()
    free = poster.job(market="free")
    assert (free.failure, kinds(free), free.values["job"]["cost"]["deposit_base_units"]) == (None, ["post"], 0)
    paid = poster.job(name="other", market="nvidia-3060", timeout=10)
    assert (paid.failure, kinds(paid), paid.values["job"]["cost"]["deposit_base_units"]) == (None, ["post"], 430)
    assert sorted(job["status"] for job in poster.info()) == ["pending", "pending"]
    assert kinds(poster.job(state="absent")) == kinds(poster.job(name="other", state="absent")) == ["delist"]


def test_another_definition_replaces_the_job(stage: Stage) -> None:
    poster = stage.poster()
    begin = poster.money
    first = poster.job()
    replaced = poster.job(env={"COLOUR": "red"})
    assert kinds(replaced) == ["delist", "post"]
    assert len({action["signature"] for action in replaced.values["actions"]}) == 1  # both or neither
    assert stage.chain.jobs_of(poster.address) == [Pubkey.from_string(replaced.values["id"])]
    assert replaced.values["id"] != first.values["id"]
    assert stage.vault(poster.market) == DEPOSIT
    assert poster.money - begin == Money(-JOB_RENT - stage.fees(first) - stage.fees(replaced), -DEPOSIT) == told(first, replaced)


def test_a_wallet_that_never_had_nos_gets_its_account(stage: Stage) -> None:
    poster = stage.poster(stage.market(price=0), nos=None)
    begin = poster.money
    posted = poster.job()
    assert poster.money - begin == Money(-JOB_RENT - TOKEN_ACCOUNT_RENT - stage.fees(posted), 0) == told(posted)


def test_a_job_of_another_tool_is_found_by_its_name(stage: Stage) -> None:
    poster = stage.poster()
    definition = {
        "version": "0.1",
        "type": "container",
        "meta": {"name": "job"},
        "ops": [{"type": "container/run", "id": "job", "args": {"image": "nginx"}}],
    }
    job = list_job(stage.chain, poster.key, poster.market, stage.pin(definition), timeout=TIMEOUT)
    found = poster.job(job_definition=definition)
    assert (found.values["changed"], found.values["id"]) == (False, str(job))
    assert kinds(poster.job(state="absent")) == ["delist"]
    assert stage.chain.jobs_of(poster.address) == []


# --- a job that runs ------------------------------------------------------------------------------------------------------


def test_taken_extended_ended(stage: Stage) -> None:
    poster = stage.poster()
    host = stage.host(poster.market)
    begin, host_begin = poster.money, stage.money(host.address)
    posted = poster.job()
    job = Pubkey.from_string(posted.values["id"])

    worked = host.work()
    assert (only(poster)["status"], only(poster)["host"]) == ("running", str(host.address))
    assert stage.money(host.address) - host_begin == Money(-RUN_RENT - stage.chain.fee(worked), 0)
    kept = poster.job(wait_for="running")
    assert (kept.values["changed"], kept.values["status"]) == (False, "running")
    longer = poster.job(timeout=TIMEOUT + 1)
    assert (kinds(longer), longer.values["status"]) == (["extend"], "running")

    let_pass(stage, 2)
    ended = poster.job(state="absent")
    assert (ended.failure, kinds(ended), ended.values["status"]) == (None, ["end"], "cancelled")
    earned = elapsed(stage, job) * PRICE
    assert earned >= 2 * PRICE
    assert ended.values["job"]["cost"]["paid_base_units"] == earned
    assert stage.money(host.address) - host_begin == Money(-stage.chain.fee(worked), earned)
    fees = sum(map(stage.fees, (posted, longer, ended)))
    assert poster.money - begin == Money(-JOB_RENT - fees, -earned) == told(posted, longer, ended)
    assert stage.vault(poster.market) == 0
    assert not poster.job(state="absent").values["changed"]

    host.complete(job, stage.pin(SUCCESS | {"status": "stopped"}))
    late = only(poster)
    assert (late["status"], late["reason"], late["result_cid"]) == ("cancelled", "stopped", stage.pin(SUCCESS | {"status": "stopped"}))
    assert kinds(poster.job()) == ["post"]  # what was removed is posted anew


def test_a_host_that_waits_runs_it_at_once(stage: Stage) -> None:
    poster = stage.poster()
    first, second = stage.host(poster.market), stage.host(poster.market)
    first.work()
    second.work()
    first.stop()
    begin = poster.money

    posted = poster.job(wait_for="running")
    assert (posted.failure, kinds(posted), posted.values["status"]) == (None, ["post"], "running")
    assert posted.values["job"]["host"] == str(second.address)
    assert poster.money - begin == Money(-JOB_RENT - RUN_RENT - stage.fees(posted), -DEPOSIT)

    ended = poster.job(state="absent")
    earned = elapsed(stage, Pubkey.from_string(posted.values["id"])) * PRICE
    fees = stage.fees(posted) + stage.fees(ended)
    assert poster.money - begin == Money(-JOB_RENT - fees, -earned) == told(posted, ended)


def test_given_to_one_of_the_hosts_that_wait(stage: Stage) -> None:
    poster = stage.poster()
    first, second = stage.host(poster.market), stage.host(poster.market)
    first.work()
    second.work()
    begin = poster.money
    posted = poster.job(node=str(second.address), wait_for="running")
    assert (posted.failure, kinds(posted), posted.values["job"]["host"]) == (None, ["post"], str(second.address))
    assert poster.money - begin == Money(-JOB_RENT - RUN_RENT - stage.fees(posted), -DEPOSIT) == told(posted)
    second.finish(Pubkey.from_string(posted.values["id"]), stage.pin(SUCCESS))
    assert only(poster)["status"] == "completed"


def test_run_again(stage: Stage) -> None:
    poster = stage.poster()
    host = stage.host(poster.market)
    job = poster.post()
    host.work()
    host.finish(job, stage.pin(FAILURE))
    assert not poster.job().values["changed"]
    again = poster.post(rerun="failed")
    assert again != job
    assert not poster.job(rerun="failed").values["changed"]
    host.work()
    host.finish(again, stage.pin(SUCCESS))
    assert not poster.job(rerun="failed").values["changed"]
    assert len(stage.chain.jobs_of(poster.address)) == 2


def test_ending_gives_the_host_the_account_that_it_lacks(stage: Stage) -> None:
    poster = stage.poster()
    host = stage.host(poster.market, token_account=False)
    host.work()
    posted = poster.job()
    let_pass(stage, 1)
    held = poster.money
    ended = poster.job(state="absent")
    assert (ended.failure, kinds(ended)) == (None, ["end"])
    earned = stage.money(host.address).nos
    assert earned == elapsed(stage, Pubkey.from_string(posted.values["id"])) * PRICE > 0
    assert poster.money - held == Money(RUN_RENT - TOKEN_ACCOUNT_RENT - stage.fees(ended), DEPOSIT - earned) == told(ended)


def test_finished_while_it_is_waited_for(stage: Stage) -> None:
    poster = stage.poster()
    host = stage.host(poster.market)
    begin, host_begin = poster.money, stage.money(host.address)
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(poster.job, wait_for="completed")
        (job,) = until(lambda: stage.chain.jobs_of(poster.address))
        fees = [host.work(), host.finish(job, stage.pin(SUCCESS))]
        done = waiting.result()
    assert (done.failure, done.values["status"], kinds(done)) == (None, "completed", ["post"])
    earned = elapsed(stage, job) * PRICE
    assert stage.money(host.address) - host_begin == Money(-sum(map(stage.chain.fee, fees)), earned)
    assert poster.money - begin == Money(-JOB_RENT - stage.fees(done), -earned)

    again = poster.job(wait_for="completed")
    assert (again.values["changed"], again.values["status"]) == (False, "completed")
    assert only(poster)["logs"] == [{"op": "run", "type": "stdout", "text": "done"}]
    assert not poster.job(state="absent").values["changed"]


def test_a_failed_job_is_not_called_completed(stage: Stage) -> None:
    poster = stage.poster()
    host = stage.host(poster.market)
    job = poster.post()
    host.work()
    host.finish(job, stage.pin(FAILURE))
    again = poster.job(wait_for="completed")
    assert again.failure is not None
    assert (again.failure.code, again.values["status"], again.values["job"]["reason"]) == ("job_failed", "failed", "exit_code")


def test_a_host_earns_no_more_than_the_timeout(stage: Stage) -> None:
    poster = stage.poster()
    host = stage.host(poster.market)
    job = poster.post(timeout=1)
    host.work()
    let_pass(stage, 3)
    host.finish(job, stage.pin(SUCCESS))
    assert elapsed(stage, job) >= 3
    assert stage.money(host.address).nos == PRICE
    assert only(poster)["cost"]["paid_base_units"] == PRICE


def test_given_up_and_recovered(stage: Stage) -> None:
    poster = stage.poster()
    host = stage.host(poster.market)
    begin = poster.money
    posted = poster.job()
    job = Pubkey.from_string(posted.values["id"])
    host.work()
    host.quit(job)
    assert (only(poster)["status"], only(poster)["reason"]) == ("failed", "host_quit")
    recovered = poster.job(state="absent")
    assert kinds(recovered) == ["recover"]
    assert poster.money - begin == Money(-stage.fees(posted) - stage.fees(recovered), 0) == told(posted, recovered)
    assert stage.chain.jobs_of(poster.address) == []


def test_given_up_and_posted_anew(stage: Stage) -> None:
    poster = stage.poster()
    host = stage.host(poster.market)
    job = poster.post()
    host.work()
    host.quit(job)
    anew = poster.job()
    assert kinds(anew) == ["recover", "post"]
    assert stage.chain.jobs_of(poster.address) == [Pubkey.from_string(anew.values["id"])] != [job]
    assert stage.vault(poster.market) == DEPOSIT


def test_given_up_and_claimed_by_another_host(stage: Stage) -> None:
    poster = stage.poster()
    first, second = stage.host(poster.market), stage.host(poster.market)
    job = poster.post()
    first.work()
    first.quit(job)
    second.claim(job)
    assert (only(poster)["status"], only(poster)["host"]) == ("running", str(second.address))
    assert not poster.job().values["changed"]
    second.finish(job, stage.pin(SUCCESS))
    assert only(poster)["status"] == "completed"
    assert stage.vault(poster.market) == 0


def test_cleaned_when_the_market_keeps_it_no_longer(stage: Stage) -> None:
    poster = stage.poster(stage.market(expiration=1))
    host = stage.host(poster.market)
    job = poster.post()
    host.work()
    host.finish(job, stage.pin(SUCCESS))
    held = poster.money
    cleaned(stage, host, job)
    assert poster.money - held == Money(JOB_RENT, 0)
    assert not poster.job(state="absent").values["changed"]
    again = poster.job()
    assert (again.values["changed"], again.values["id"], again.values["job"]["chain_state"]) == (False, str(job), "closed")
    assert poster.post(rerun="finished") != job


def test_purged_by_its_owner(stage: Stage) -> None:
    poster = stage.poster(stage.market(expiration=1))
    host = stage.host(poster.market)
    begin = poster.money
    posted = poster.job()
    job = Pubkey.from_string(posted.values["id"])
    host.work()
    host.finish(job, stage.pin(SUCCESS))
    tries: list[TaskResult] = []

    def purged() -> TaskResult | None:
        tries.append(poster.job(state="absent", purge=True))
        return tries[-1] if tries[-1].values["changed"] else None

    cleaned_up = until(purged)
    assert (cleaned_up.failure, kinds(cleaned_up)) == (None, ["clean"])
    earned = stage.money(host.address).nos
    assert poster.money - begin == Money(-stage.fees(posted) - stage.fees(cleaned_up), -earned)
    assert told(cleaned_up) == Money(JOB_RENT - stage.fees(cleaned_up), 0)
    assert stage.chain.jobs_of(poster.address) == []


def cleaned(stage: Stage, host: Host, job: Pubkey) -> None:
    """Until the program lets it happen; before that it has one reason."""

    refusals: list[Failed] = []

    def tried() -> bool:
        try:
            clean(stage.chain, host.key, job, host.market)
        except Failed as failed:
            refusals.append(failed)
            return False
        return True

    until(tried)
    assert all(any("Error Code: JobNotExpired. Error Number: 6005" in line for line in failed.logs) for failed in refusals), refusals


# --- one job for a name ---------------------------------------------------------------------------------------------------


def test_posted_by_several_at_once(stage: Stage) -> None:
    poster = stage.poster()
    begin = poster.money

    async def all_at_once() -> list[Any]:
        # Different definitions, so that no two of them send one and the same transaction; who comes late leaves the job as it is.
        return await asyncio.gather(*(poster.job_in_loop(env={"NUMBER": str(number)}, on_change="ignore") for number in range(4)))

    results = asyncio.run(all_at_once())
    assert [result.failure for result in results] == [None] * 4
    (job,) = stage.chain.jobs_of(poster.address)
    assert {result.values["id"] for result in results} == {str(job)}
    assert sum(kinds(result).count("post") for result in results) == 1
    assert (begin - poster.money).nos == stage.vault(poster.market) == DEPOSIT


def test_extended_by_several_at_once(stage: Stage) -> None:
    """Whoever comes after a longer extension has what was asked for."""
    poster = stage.poster()
    poster.post()

    async def all_at_once() -> list[Any]:
        return await asyncio.gather(*(poster.job_in_loop(timeout=TIMEOUT + more) for more in (100, 200, 300)))

    results = asyncio.run(all_at_once())
    assert [result.failure for result in results] == [None] * 3
    assert only(poster)["timeout"] == TIMEOUT + 300
    assert stage.vault(poster.market) == (TIMEOUT + 300) * PRICE


def test_the_same_task_twice_at_once(stage: Stage) -> None:
    """Under one blockhash both sign one and the same transaction, which lands once; both have posted it."""
    poster = stage.poster()

    async def both_at_once() -> tuple[Any, Any]:
        return await asyncio.gather(poster.job_in_loop(), poster.job_in_loop())

    first, second = asyncio.run(both_at_once())
    assert (first.failure, second.failure) == (None, None)
    (job,) = stage.chain.jobs_of(poster.address)
    assert first.values["id"] == second.values["id"] == str(job)
    assert stage.vault(poster.market) == DEPOSIT


# --- money that is not there ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lamports", "nos", "said"),
    [
        (LAMPORTS_PER_SOL, DEPOSIT - 1, "Not enough NOS to post the job: 0.0258 NOS are needed and the wallet {} has 0.025799;"),
        (LAMPORTS_PER_SOL, None, "Not enough NOS to post the job: 0.0258 NOS are needed and the wallet {} has 0;"),
        (
            JOB_RENT + 49_999,
            DEPOSIT,
            "Not enough SOL to post the job: 0.00261128 SOL are needed for rent and fees and the wallet {} has 0.002611279;",
        ),
    ],
)
def test_a_wallet_that_has_too_little(stage: Stage, lamports: int, nos: int | None, said: str) -> None:
    poster = stage.poster(lamports=lamports, nos=nos)
    before = poster.money
    with pytest.raises(InsufficientFunds) as refused:
        poster.job()
    assert str(refused.value).startswith(said.format(poster.address))
    assert (poster.money, stage.chain.jobs_of(poster.address)) == (before, [])


def test_a_wallet_that_has_just_enough(stage: Stage) -> None:
    poster = stage.poster(lamports=JOB_RENT + 50_000 + 890_880, nos=DEPOSIT)
    poster.post()
    assert poster.money.nos == 0
