"""JSON-RPC: answers of the wrong type are never taken for an answer, and what the node is asked."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from ansible_collections.nosana.compute.plugins.module_utils._clients.clock import SystemClock
from ansible_collections.nosana.compute.plugins.module_utils._clients.errors import ProgramError, Refused, UnexpectedAnswer
from ansible_collections.nosana.compute.plugins.module_utils._clients.http import Http, Response
from ansible_collections.nosana.compute.plugins.module_utils._clients.program import TOKEN_PROGRAM
from ansible_collections.nosana.compute.plugins.module_utils._clients.rpc import Account, Rpc

KEY = "9C6hybhQ6Aycep9jaUnP6uL9ZYvDjUp1aSkFWPUFJtpj"
Call = Callable[[Rpc], Awaitable[Any]]
NUMBERS: dict[str, Call] = {
    "getBalance": lambda rpc: rpc.get_balance(KEY),
    "getBlockHeight": lambda rpc: rpc.get_height(),
}
TEXTS: dict[str, Call] = {
    "getGenesisHash": lambda rpc: rpc.get_genesis_hash(),
    "sendTransaction": lambda rpc: rpc.send_transaction(b"x", action="x"),
}


def ask(call: Call, answer: Any) -> tuple[Any, list[Any]]:
    """`answer` is the whole reply, or JSON text of it; or a function of the request."""
    asked: list[Any] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(json.loads(request.content))
        reply = answer(asked[-1]) if callable(answer) else answer
        return httpx.Response(200, text=reply if isinstance(reply, str) else json.dumps(reply))

    async def run() -> Any:
        async with Http(SystemClock(), attempts=1, transport=httpx.MockTransport(handler)) as http:
            return await call(Rpc(http, "http://rpc.example/"))

    return asyncio.run(run()), asked


@pytest.mark.parametrize("value", ["null", '"7"', "1.5", "1e999", "NaN", "-1", "true", "[7]", "{}"])
@pytest.mark.parametrize("method", NUMBERS)
def test_what_is_no_number(method: str, value: str) -> None:
    result = f'{{"value": {value}}}' if method == "getBalance" else value
    with pytest.raises(UnexpectedAnswer):
        ask(NUMBERS[method], f'{{"result": {result}}}')


@pytest.mark.parametrize("value", [None, 7, True, [], {}])
@pytest.mark.parametrize("method", TEXTS)
def test_what_is_no_text(method: str, value: Any) -> None:
    with pytest.raises(UnexpectedAnswer):
        ask(TEXTS[method], {"result": value})


@pytest.mark.parametrize("data", [["QQ", "base64"], ["Q===", "base64"], ["", "base58"], [""], "", None, ["", "base64", "x"], [7, "base64"]])
def test_account_data_that_cannot_be_read(data: Any) -> None:
    with pytest.raises(UnexpectedAnswer):
        ask(lambda rpc: rpc.get_account(KEY), {"result": {"context": {"slot": 1}, "value": [{"lamports": 1, "owner": KEY, "data": data}]}})


@pytest.mark.parametrize("statuses", [[], [None, None], [7], [{}], [{"slot": -1, "err": None}]])
def test_statuses_that_cannot_be(statuses: Any) -> None:
    with pytest.raises(UnexpectedAnswer):
        ask(lambda rpc: rpc.get_signature_status(KEY), {"result": {"value": statuses}})


def test_a_transaction_without_meta_has_no_logs() -> None:
    for result in (None, {"meta": None}, {"meta": {"logMessages": None}}, {"meta": {"logMessages": 7}}):
        assert ask(lambda rpc: rpc.get_transaction_logs(KEY), {"result": result})[0] == []


@pytest.mark.parametrize("logs", [None, 7, "x", {}, [7, None], []])
def test_a_failed_preflight_with_odd_logs_is_still_the_programs_error(logs: Any) -> None:
    data = {"err": {"InstructionError": [0, {"Custom": 3012}]}, "logs": logs}
    with pytest.raises(ProgramError) as caught:
        ask(TEXTS["sendTransaction"], {"error": {"code": -32002, "message": "x", "data": data}})
    assert caught.value.name == "AccountNotInitialized"


@pytest.mark.parametrize(
    "error", [{}, {"code": None}, {"code": -32002}, {"code": -32002, "data": {"err": None}}, {"code": [], "message": {}}]
)
def test_odd_refusals_are_refusals(error: Any) -> None:
    with pytest.raises(Refused):
        ask(TEXTS["sendTransaction"], {"error": error})


def test_many_keys_are_asked_for_by_the_hundred_and_stay_in_order() -> None:
    def answer(request: Any) -> Any:
        entries = [{"lamports": int(key), "owner": KEY, "data": ["", "base64"]} for key in request["params"][0]]
        return {"result": {"context": {"slot": 1}, "value": entries}}

    found, asked = ask(lambda rpc: rpc.get_multiple_accounts([str(number) for number in range(250)]), answer)
    assert [account.lamports for account in found] == list(range(250))
    assert [len(request["params"][0]) for request in asked] == [100, 100, 50]
    assert {request["params"][1]["commitment"] for request in asked} == {"confirmed"}
    assert len({request["id"] for request in asked}) == 3


def test_the_balance_of_a_token_account() -> None:
    def entry(owner: str, data: bytes) -> Any:
        return {
            "result": {
                "context": {"slot": 1},
                "value": [{"lamports": 1, "owner": owner, "data": [base64.b64encode(data).decode(), "base64"]}],
            }
        }

    def balance(answer: Any) -> Any:
        return ask(lambda rpc: rpc.get_token_balance(KEY), answer)[0]

    assert balance(entry(TOKEN_PROGRAM, bytes(64) + b"\x07" + bytes(100))) == 7
    assert balance({"result": {"context": {"slot": 1}, "value": [None]}}) is None
    for owner, data in ((KEY, bytes(165)), (TOKEN_PROGRAM, bytes(71))):
        with pytest.raises(UnexpectedAnswer, match="token account"):
            balance(entry(owner, data))


def test_accounts_of_a_program() -> None:
    answer = {"result": [{"pubkey": KEY, "account": {"lamports": 5, "owner": KEY, "data": ["QQ==", "base64"]}}]}
    found, asked = ask(lambda rpc: rpc.get_program_accounts(KEY, filters=[{"dataSize": 1}]), answer)
    assert found == [(KEY, Account(5, KEY, b"A"))]
    assert asked[0]["params"][1]["filters"] == [{"dataSize": 1}]


def test_only_a_search_may_be_answered_at_length() -> None:
    bounds: list[int] = []

    class Measured:
        clock = None

        async def request(self, _method: str, _url: str, read: Any, *, max_bytes: int, **_options: Any) -> Any:
            bounds.append(max_bytes)
            return read(Response(200, {}, b'{"result": []}', "node"))

    async def run() -> None:
        node = Rpc(Measured(), "http://node.example/")  # type: ignore[arg-type]
        await node.get_program_accounts(KEY, filters=[])
        await node.get_signatures_for_address(KEY)

    asyncio.run(run())
    assert bounds == [64 * 1024 * 1024, 8 * 1024 * 1024]
