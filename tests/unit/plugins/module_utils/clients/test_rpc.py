"""JSON-RPC answers are checked before they are believed; failed transactions become errors with the program's own word."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from ansible_collections.nosana.compute.plugins.module_utils._clients.clock import SystemClock
from ansible_collections.nosana.compute.plugins.module_utils._clients.errors import (
    InsufficientFunds,
    NosanaError,
    ProgramError,
    Refused,
    UnexpectedAnswer,
)
from ansible_collections.nosana.compute.plugins.module_utils._clients.http import Http
from ansible_collections.nosana.compute.plugins.module_utils._clients.program import program_error
from ansible_collections.nosana.compute.plugins.module_utils._clients.rpc import Rpc

KEY = "9C6hybhQ6Aycep9jaUnP6uL9ZYvDjUp1aSkFWPUFJtpj"
CALLS: dict[str, Callable[[Rpc], Awaitable[Any]]] = {
    "account": lambda rpc: rpc.get_account(KEY),
    "accounts": lambda rpc: rpc.get_multiple_accounts([KEY, KEY]),
    "program accounts": lambda rpc: rpc.get_program_accounts(KEY, filters=[]),
    "balance": lambda rpc: rpc.get_balance(KEY),
    "token balance": lambda rpc: rpc.get_token_balance(KEY),
    "blockhash": lambda rpc: rpc.get_latest_blockhash(),
    "height": lambda rpc: rpc.get_height(),
    "fees": lambda rpc: rpc.get_recent_prioritization_fees([KEY]),
    "signatures": lambda rpc: rpc.get_signatures_for_address(KEY),
    "statuses": lambda rpc: rpc.get_signature_status(KEY),
    "logs": lambda rpc: rpc.get_transaction_logs(KEY),
    "transaction": lambda rpc: rpc.get_transaction(KEY),
    "simulation": lambda rpc: rpc.simulate_transaction(b"x"),
}
WILD: list[Any] = [
    "text",
    [7],
    {"value": 7},
    {"value": [7]},
    {"value": {"blockhash": 1}},
    {"value": [{"lamports": "x", "owner": KEY, "data": ["", "base64"]}]},
    {"value": [{"lamports": 1, "owner": KEY, "data": ["not base64!", "base64"]}]},
    {"value": [{"lamports": 1, "owner": KEY, "data": ["", "base58"]}]},
    [{"pubkey": KEY, "account": None}],
    [{"signature": 1}, None],
    {"context": {"slot": -1}, "value": []},
    {"slot": 1, "meta": {}, "transaction": {}},
    {
        "slot": 1,
        "meta": {"fee": 0, "err": None, "preBalances": [1], "postBalances": []},
        "transaction": {"message": {"accountKeys": [KEY]}},
    },
    {"value": {"err": None, "logs": [], "innerInstructions": [{"index": 0, "instructions": [{"program": "spl-token", "parsed": 7}]}]}},
    {"value": {"err": None, "logs": [], "innerInstructions": [{}]}},
]


def ask(call: Callable[[Rpc], Awaitable[Any]], answer: Any, *, status: int = 200) -> Any:
    async def run() -> Any:
        transport = httpx.MockTransport(
            lambda _request: httpx.Response(status, text=answer if isinstance(answer, str) else json.dumps(answer))
        )
        async with Http(SystemClock(), attempts=1, transport=transport) as http:
            return await call(Rpc(http, "http://rpc.example/"))

    return asyncio.run(run())


@pytest.mark.parametrize("result", WILD, ids=str)
@pytest.mark.parametrize("name", CALLS)
def test_wild_answers_are_errors_of_ours(name: str, result: Any) -> None:
    with contextlib.suppress(NosanaError):  # and of nobody else
        ask(CALLS[name], {"jsonrpc": "2.0", "id": 1, "result": result})


@pytest.mark.parametrize("answer", ["", "<html>", "[]", "null", {"jsonrpc": "2.0", "id": 1}])
def test_what_is_no_answer_at_all(answer: Any) -> None:
    with pytest.raises(UnexpectedAnswer):
        ask(CALLS["height"], answer)


def test_the_wrong_number_of_accounts_is_not_believed() -> None:
    with pytest.raises(UnexpectedAnswer, match="1 accounts to a question for 2"):
        ask(CALLS["accounts"], {"result": {"context": {"slot": 1}, "value": [None]}})


def test_what_a_history_shows_is_not_taken_back_by_a_node_that_is_behind() -> None:
    asked: list[Any] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(json.loads(request.content)["params"][1])
        return httpx.Response(200, json={"jsonrpc": "2.0", "id": 1, "result": [{"signature": "a", "err": None, "slot": 500}]})

    async def twice() -> None:
        async with Http(SystemClock(), attempts=1, transport=httpx.MockTransport(answer)) as http:
            rpc = Rpc(http, "http://node.test")
            await rpc.get_signatures_for_address(KEY)
            await rpc.get_signatures_for_address(KEY)

    asyncio.run(twice())
    assert [options.get("minContextSlot") for options in asked] == [None, 500]


def test_refusals_name_the_code() -> None:
    with pytest.raises(Refused) as caught:
        ask(CALLS["program accounts"], {"error": {"code": -32010, "message": "excluded from account secondary indexes"}})
    assert caught.value.details["rpc_code"] == -32010
    with pytest.raises(Refused, match="refuses access"):
        ask(CALLS["height"], "", status=403)


ANCHOR = "Program log: AnchorError caused by account: {}. Error Code: {}. Error Number: {}. Error Message: {}."


@pytest.mark.parametrize(
    ("err", "logs", "kind", "name"),
    [
        (
            {"InstructionError": [2, {"Custom": 6001}]},
            [ANCHOR.format("market", "MarketInWrongState", 6001, "no.")],
            ProgramError,
            "MarketInWrongState",
        ),
        ({"InstructionError": [2, {"Custom": 6001}]}, [ANCHOR.format("run", "InvalidOwner", 6001, "no.")], ProgramError, "InvalidOwner"),
        ({"InstructionError": [2, {"Custom": 6001}]}, [], ProgramError, "Custom6001"),
        (
            {"InstructionError": [0, {"Custom": 0}]},
            ["Allocate: account Address { address: x } already in use"],
            ProgramError,
            "AccountAlreadyInUse",
        ),
        ({"InstructionError": [0, {"Custom": 1}]}, ["Program log: Error: insufficient funds"], InsufficientFunds, None),
        ({"InstructionError": [0, {"Custom": 1}]}, ["Transfer: insufficient lamports 5, need 2561280"], InsufficientFunds, None),
        ({"InsufficientFundsForRent": {"account_index": 0}}, [], InsufficientFunds, None),
        ("InsufficientFundsForFee", [], InsufficientFunds, None),
        ({"InstructionError": [0, {"Custom": 3012}]}, [], ProgramError, "AccountNotInitialized"),
        ({"InstructionError": [0, {"Custom": 2040}]}, [], ProgramError, "ConstraintDuplicateMutableAccount"),
        ({"InstructionError": [0, "ProgramFailedToComplete"]}, [], ProgramError, "ProgramFailedToComplete"),
        ("BlockhashNotFound", [], Refused, None),
        ({"InstructionError": "nonsense"}, [], Refused, None),
    ],
)
def test_failed_transactions_by_their_log_lines(err: Any, logs: list[str], kind: type[NosanaError], name: str | None) -> None:
    error = program_error(err, logs, action="post the job")
    assert isinstance(error, kind)
    assert getattr(error, "name", None) == name
    assert "post the job" in str(error)
    data = {"err": err, "logs": logs}
    with pytest.raises(kind):
        ask(
            lambda rpc: rpc.send_transaction(b"x", action="post the job"),
            {"error": {"code": -32002, "message": "Transaction simulation failed", "data": data}},
        )
