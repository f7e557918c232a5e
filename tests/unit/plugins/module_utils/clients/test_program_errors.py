"""Errors by number and log line, accounts with wild content, and the filters by which accounts are found."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import random
from typing import Any

import pytest

from ansible_collections.nosana.compute.plugins.module_utils._clients import program
from ansible_collections.nosana.compute.plugins.module_utils._clients.base58 import b58decode
from ansible_collections.nosana.compute.plugins.module_utils._clients.errors import NosanaError, ProgramError, UnexpectedAnswer

KEY = "9C6hybhQ6Aycep9jaUnP6uL9ZYvDjUp1aSkFWPUFJtpj"

# The program has two lists of errors, and both begin at 6000.
COMMON = [
    "Unauthorized",
    "InvalidOwner",
    "LamportsNonNull",
    "MissingSignature",
    "InvalidAccount",
    "InvalidTokenAccount",
    "InvalidMint",
    "InvalidVault",
    "InvalidPayer",
    "VaultEmpty",
    "VaultNotEmpty",
    "InvalidATA",
]
OF_JOBS = [
    "InvalidMarketAccount",
    "MarketInWrongState",
    "NotInMarketQueue",
    "InvalidJobAccount",
    "JobInWrongState",
    "JobNotExpired",
    "JobResultNull",
    "JobInvalidProject",
    "JobTimeoutNotGreater",
    "JobInvalidRunAccount",
    "JobResultsAlreadySet",
    "NodeQueueDoesNotMatch",
]
OF_NODES = [
    "NodeStakeUnauthorized",
    "NodeNotEnoughStake",
    "NodeAlreadyQueued",
    "NodeNftWrongMetadata",
    "NodeNftWrongOwner",
    "NodeNftInvalidAmount",
    "NodeKeyInvalidCollection",
]


def raised(number: Any, *logs: str) -> ProgramError:
    error = program.program_error({"InstructionError": [2, {"Custom": number}]}, logs, action="end the job")
    assert isinstance(error, ProgramError)
    return error


@pytest.mark.parametrize("names", [COMMON, OF_JOBS], ids=["common", "jobs"])
@pytest.mark.parametrize("form", ["thrown in programs/nosana-jobs/src/x.rs:1", "caused by account: market", "occurred"])
def test_where_two_lists_overlap_the_log_line_decides(names: list[str], form: str) -> None:
    assert len(names) == 12
    for number, name in enumerate(names, 6000):
        line = f"Program log: AnchorError {form}. Error Code: {name}. Error Number: {number}. Error Message: It is so.."
        error = raised(number, "Program log: Instruction: End", line)
        assert (error.name, error.number, error.instruction) == (name, number, 2)
        assert f"The program refused to end the job: {name} (It is so)" in str(error)


def test_without_a_log_line_an_ambiguous_number_stays_a_number() -> None:
    for number in range(6000, 6012):
        assert raised(number).name == f"Custom{number}"


def test_numbers_that_mean_one_thing_need_no_log_line() -> None:
    for number, name in enumerate(OF_NODES, 6012):
        assert raised(number).name == name


def test_the_log_line_of_another_error_is_not_believed() -> None:
    assert raised(6012, "Program log: AnchorError occurred. Error Code: Other. Error Number: 6001. Error Message: no.").name == OF_NODES[0]


def test_many_log_lines_are_cut() -> None:
    assert len(raised(6000, *["Program log: x"] * 5000).logs) == 20


@pytest.mark.parametrize("custom", [[1], {}, None, "x", float("inf"), -1, 2**70])
def test_made_up_numbers_are_errors_of_ours(custom: Any) -> None:
    assert isinstance(program.program_error({"InstructionError": [0, {"Custom": custom}]}, ["x"], action="x"), NosanaError)


@pytest.mark.parametrize("err", [None, 7, "x", [], {}, {"InstructionError": []}, {"InstructionError": [0, 1, 2]}, {"A": {"B": []}}])
def test_made_up_errors_are_errors_of_ours(err: Any) -> None:
    assert isinstance(program.program_error(err, [], action="x"), NosanaError)


DECODERS: list[tuple[Any, str, int]] = [
    (program.decode_job, "JobAccount", 233),
    (program.decode_run, "RunAccount", 113),
    (program.decode_market, "MarketAccount", 151),
]


@pytest.mark.parametrize(("decode", "name", "size"), DECODERS, ids=["job", "run", "market"])
def test_any_bytes_are_an_account_or_an_error_of_ours(decode: Any, name: str, size: int) -> None:
    chance = random.Random(size)
    start = program.discriminator("account", name)
    for length in [*range(size + 2), 10_240]:
        data = start + chance.randbytes(max(0, length - 8))
        try:
            decode(data[:length])
        except UnexpectedAnswer:
            continue
        assert length >= size
    with pytest.raises(UnexpectedAnswer):
        decode(bytes(10_240))


@pytest.mark.parametrize("length", [2**32 - 1, 3, 2])
def test_a_queue_holds_what_its_account_holds(length: int) -> None:
    one = b58decode(KEY)
    data = program.discriminator("account", "MarketAccount") + bytes(138) + b"\0" + length.to_bytes(4, "little") + one + one
    if length == 2:
        assert program.decode_market(data).queues_job(KEY)
    else:
        with pytest.raises(UnexpectedAnswer, match=str(length)):
            program.decode_market(data)


def test_hosts_in_the_queue_are_no_jobs() -> None:
    data = program.discriminator("account", "MarketAccount") + bytes(138) + b"\1\1\0\0\0" + b58decode(KEY)
    assert program.decode_market(data).queue == (KEY,)
    assert not program.decode_market(data).queues_job(KEY)


def test_filters_name_the_places_of_the_fields() -> None:
    found = {
        entry["memcmp"]["offset"]: entry["memcmp"]["bytes"] for entry in program.job_filters(project=KEY, state=2, market=KEY, node=KEY)
    }
    assert found == {0: "GESmduEEyPE", 72: KEY, 104: KEY, 176: KEY, 208: "3"}
    assert [entry["memcmp"]["offset"] for entry in program.job_filters(state=0)] == [0, 208]
    assert [entry["memcmp"] for entry in program.job_filters(payer=KEY)][1:] == [{"offset": 136, "bytes": KEY}]
    assert [entry["memcmp"]["offset"] for entry in program.run_filters(job=KEY)] == [0, 8]
