"""The jobs program where no recording shows it, but the recorded program's rules and those of the Anchor framework decide."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import copy
from collections.abc import Callable
from typing import Any

import pytest
from recordings import RECORDED, account_of, data_of, errors, sent
from solders.litesvm import LiteSVM
from solders.pubkey import Pubkey

Case = dict[str, Any]
CASES: dict[str, Case] = {case["id"]: case for case in RECORDED["golden"]["cases"]}
MARKET_PRICE, MARKET_TYPE, QUEUE_TYPE, JOB_PRICE, TOKEN_STATE = 48, 64, 146, 168, 108
LAST, UNKNOWN = 4, 255
JOBS, NODES = 0, 1


def changed(base: str, *changes: Callable[[Case], None]) -> Case:
    case = copy.deepcopy(CASES[base])
    for change in changes:
        change(case)
    return case


def meta_of(case: Case, name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(meta for meta in case["instruction"]["accounts"] if meta["name"] == name)
    return found


def byte(name: str, offset: int, value: int) -> Callable[[Case], None]:
    def change(case: Case) -> None:
        entry = case["setup"][meta_of(case, name)["pubkey"]]
        data = bytearray(data_of(entry))
        data[offset] = value
        entry["data_b64"] = base64.b64encode(data).decode()

    return change


def free(job: str = "job") -> Callable[[Case], None]:
    def change(case: Case) -> None:
        for offset in range(JOB_PRICE, JOB_PRICE + 8):
            byte(job, offset, 0)(case)

    return change


def same(name: str, other: str) -> Callable[[Case], None]:
    return lambda case: meta_of(case, name).update(pubkey=meta_of(case, other)["pubkey"])


def only(count: int) -> Callable[[Case], None]:
    return lambda case: case["instruction"].update(accounts=case["instruction"]["accounts"][:count])


def more(count: int) -> Callable[[Case], None]:
    """Accounts that the instruction does not know, some of them twice."""
    extra = [{"name": "", "pubkey": str(Pubkey(bytes([90 + n % 12] * 32))), "is_signer": False, "is_writable": False} for n in range(count)]
    return lambda case: case["instruction"]["accounts"].extend(extra)


def poor(name: str) -> Callable[[Case], None]:
    return lambda case: case["setup"].update({meta_of(case, name)["pubkey"]: None})


def data(hexadecimal: str) -> Callable[[Case], None]:
    return lambda case: case["instruction"].update(data_hex=hexadecimal)


def market_data(case: Case, svm: LiteSVM | None = None) -> bytes:
    key = meta_of(case, "market")["pubkey"]
    account = account_of(case["setup"][key]) if svm is None else svm.get_account(Pubkey.from_string(key))
    assert account is not None
    return account.data


NOT_INITIALIZED = "An attempt to operate on an account that hasn't been initialized."


@pytest.mark.parametrize(
    ("case", "error", "account", "name"),
    [
        # a missing account is named, except one that the instruction would create
        (changed("work.ok_empty", only(0)), {"Custom": 3005}, "run", "AccountNotEnoughKeys"),
        (changed("stop.ok_first", only(1)), {"Custom": 3005}, "node", "AccountNotEnoughKeys"),
        (changed("quit.ok", only(2)), {"Custom": 3005}, "payer", "AccountNotEnoughKeys"),
        (changed("assign.ok_first", only(2)), {"Custom": 3005}, "", "AccountNotEnoughKeys"),
        (changed("open.ok", data("e445a52e51cb9a1d")), {"Custom": 1500}, "", "EventInstructionStub"),
        (changed("close_admin.ok", same("authority", "market")), {"Custom": 2011}, "market", "ConstraintClose"),
        (changed("update.ok", byte("market", QUEUE_TYPE + 4, 1)), {"Custom": 3003}, "market", "AccountDidNotDeserialize"),
        (changed("finish.elapsed_1", byte("user", TOKEN_STATE, 0)), "UninitializedAccount", "user", "UninitializedAccount"),
        (changed("finish.elapsed_1", byte("user", TOKEN_STATE, 3)), "InvalidAccountData", "user", "InvalidAccountData"),
    ],
)
def test_refused(case: Case, error: Any, account: str, name: str) -> None:
    have, logs, _svm = sent("golden", case)
    assert have == {"InstructionError": [0, error]}, logs
    assert [found[:2] for found in errors(logs)] == [(account, name)]


def test_uninitialized_account_in_words() -> None:
    _error, logs, _svm = sent("golden", changed("finish.elapsed_1", byte("user", TOKEN_STATE, 0)))
    assert any(line.endswith(f"Error Number: 42949672960. Error Message: {NOT_INITIALIZED}") for line in logs)


@pytest.mark.parametrize(
    "base", ["open.ok", "list.node_fifo_1", "work.ok_empty", "assign.ok_first", "end.elapsed_3600", "clean.by_stranger"]
)
def test_more_accounts_than_any_instruction_knows(base: str) -> None:
    error, logs, _svm = sent("golden", changed(base, more(60)))
    assert error is None, logs


def test_only_an_account_with_lamports_is_known_as_the_payer() -> None:
    """One without is left to the system program, which has its own reason."""
    error, logs, _svm = sent("golden", changed("list.job_equals_payer", poor("payer")))
    assert error == {"InstructionError": [0, "InvalidArgument"]}, logs


def test_market_of_unknown_type_queues_no_node() -> None:
    case = changed("work.ok_empty", byte("market", MARKET_TYPE, UNKNOWN))
    error, logs, svm = sent("golden", case)
    assert error is None, logs
    assert market_data(case, svm) == market_data(case)
    assert svm.get_account(Pubkey.from_string(meta_of(case, "run")["pubkey"])) is None


def test_market_of_unknown_type_queues_no_job() -> None:
    case = changed("list.ok_empty_queue", byte("market", MARKET_TYPE, UNKNOWN))
    error, logs, svm = sent("golden", case)
    assert error is None, logs
    assert market_data(case, svm) == market_data(case)


@pytest.mark.parametrize("market_type", [LAST, LAST + 1, UNKNOWN - 1])
def test_market_of_every_other_type_queues(market_type: int) -> None:
    case = changed("list.ok_empty_queue", byte("market", MARKET_TYPE, market_type))
    error, logs, svm = sent("golden", case)
    assert error is None, logs
    assert market_data(case, svm) != market_data(case)


@pytest.mark.parametrize(("base", "kind"), [("list.node_fifo_1", "run"), ("work.match_sol_exact", "run"), ("assign.ok_first", "run")])
def test_market_of_unknown_type_matches_who_is_queued_already(base: str, kind: str) -> None:
    case = changed(base, byte("market", MARKET_TYPE, UNKNOWN))
    error, logs, svm = sent("golden", case)
    assert error is None, logs
    run = meta_of(case, kind)["pubkey"]
    made = svm.get_account(Pubkey.from_string(run))
    assert made is not None
    assert made.data == data_of(case["after"][run])


@pytest.mark.parametrize(("base", "waiting"), [("list.ok_empty_queue", NODES), ("work.ok_empty", JOBS)])
def test_queue_whose_type_promises_somebody_who_is_not_there(base: str, waiting: int) -> None:
    error, logs, _svm = sent("golden", changed(base, byte("market", QUEUE_TYPE, waiting)))
    assert error == {"InstructionError": [0, "ProgramFailedToComplete"]}, logs
    assert any(line.endswith("removal index (is 0) should be < len (is 0)") for line in logs)


def transfers(logs: list[str]) -> int:
    return sum(line.startswith("Program Tokenkeg") and "invoke" in line for line in logs)


def test_recovery_of_a_free_job_moves_nothing_but_moves_it() -> None:
    error, logs, _svm = sent("golden", changed("recover.user_other", free()))
    assert (error, transfers(logs)) == (None, 1), logs
    error, logs, _svm = sent("golden", changed("recover.user_other_mint", free()))
    assert error == {"InstructionError": [0, {"Custom": 3}]}, logs


@pytest.mark.parametrize("base", ["end.elapsed_3600", "finish.elapsed_3600"])
def test_refund_of_nothing_still_looks_at_the_account(base: str) -> None:
    frozen = 2
    error, logs, _svm = sent("golden", changed(base, byte("deposit", TOKEN_STATE, frozen)))
    assert error == {"InstructionError": [0, {"Custom": 17}]}, logs
