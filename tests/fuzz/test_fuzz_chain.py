"""Any bytes from the chain, any answer of an RPC node or gateway: what we understand, or one sentence."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import contextlib
import json
import struct
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from documents import DEEP, TEXTS, WILD, Answer, as_json, damaged, nested, run, sentence
from hypothesis import example, given
from hypothesis import strategies as st
from questions import ANCHOR, CALLS, FAILURE

from ansible_collections.nosana.compute.plugins.module_utils._clients import program
from ansible_collections.nosana.compute.plugins.module_utils._clients.errors import NosanaError, UnexpectedAnswer
from ansible_collections.nosana.compute.plugins.module_utils._clients.ipfs import Ipfs, cid_of, encode_document
from ansible_collections.nosana.compute.plugins.module_utils._clients.rpc import Rpc

# --- accounts --------------------------------------------------------------------------------------------------------

KEYS = st.binary(min_size=32, max_size=32) | st.sampled_from([b"\0" * 32, b"\xff" * 32])
BYTE = st.integers(0, 255)
U64 = st.integers(0, 2**64 - 1) | st.sampled_from([0, 2**64 - 1])
I64 = st.integers(-(2**63), 2**63 - 1) | st.sampled_from([0, -1, 2**63 - 1, -(2**63)])


@st.composite
def accounts(draw: st.DrawFn) -> bytes:
    """An account of the program with any values in its fields, and then sometimes cut, longer, or with other bytes in it."""

    def key() -> bytes:
        return draw(KEYS)

    kind = draw(st.sampled_from(["JobAccount", "RunAccount", "MarketAccount"]))
    if kind == "JobAccount":
        rest = b"".join(key() for _field in range(5)) + struct.pack("<Q", draw(U64)) + key()
        rest += struct.pack("<Bqqq", draw(BYTE), draw(I64), draw(I64), draw(I64)) + bytes(7)
    elif kind == "RunAccount":
        rest = key() + key() + key() + struct.pack("<Bq", draw(BYTE), draw(I64)) + bytes(7)
    else:
        queue = draw(st.lists(KEYS, max_size=3))
        count = draw(st.just(len(queue)) | st.integers(0, 2**32 - 1))
        rest = key() + struct.pack("<qQqB", draw(I64), draw(U64), draw(I64), draw(BYTE)) + key() + bytes([draw(BYTE)]) + key()
        rest += draw(st.binary(min_size=16, max_size=16)) + struct.pack("<BI", draw(BYTE), count) + b"".join(queue) + bytes(64)
    data = bytearray(program.discriminator("account", kind) + rest)
    for _turn in range(draw(st.integers(0, 2))):
        data[draw(st.integers(0, len(data) - 1))] = draw(BYTE)
    return bytes(data[: draw(st.just(len(data)) | st.integers(0, len(data)))])


@given(data=accounts() | st.binary(max_size=300))
@example(data=b"")
def test_accounts(data: bytes) -> None:
    for decode in (program.decode_job, program.decode_run, program.decode_market):
        try:
            found = decode(data)
        except UnexpectedAnswer as error:
            sentence(error)
            continue
        if isinstance(found, program.Job):
            assert all(isinstance(value, int) for value in (found.price, found.state, found.time_start, found.timeout_seconds))
            paid = program.paid(found.price, found.time_start, found.time_end, found.timeout_seconds)
            assert paid + program.refund(found.price, found.time_start, found.time_end, found.timeout_seconds) == program.deposit(
                found.price, found.timeout_seconds
            )
        elif isinstance(found, program.Market):
            assert len(found.queue) <= len(data) // 32
            found.queues_job(found.authority)


# --- errors ----------------------------------------------------------------------------------------------------------

ERRORS: list[Any] = [
    {"InstructionError": [0, {"Custom": 6001}]},
    {"InstructionError": [2, "InvalidAccountData"]},
    {"InsufficientFundsForRent": {"account_index": 1}},
    "BlockhashNotFound",
    "InsufficientFundsForFee",
]
LOGS = st.lists(
    st.sampled_from([ANCHOR, "Program log: Error: insufficient funds", "Transfer: insufficient lamports 1, need 2", "already in use"])
    | TEXTS
    | st.builds(lambda text: f"AnchorError Error Code: {text}. Error Number: {text}. Error Message: {text}", TEXTS)
    | st.builds(lambda text: f"insufficient lamports {text}", TEXTS),
    max_size=30,
)


@given(error=damaged(ERRORS) | WILD | DEEP, logs=LOGS)
@example(error={"InstructionError": [0, {"Custom": True}]}, logs=[])
@example(error="\x1b[2J" * 9999, logs=[])
@example(error={"InstructionError": [0, {"Custom": 1}]}, logs=[f"AnchorError Error Code: A. Error Number: {'9' * 5000}. Error Message: b"])
@example(error={"InstructionError": [0, {"Custom": 1}]}, logs=["AnchorError Error Code: A. Error Number: ١. Error Message: b"])
def test_errors_of_transactions(error: Any, logs: list[str]) -> None:
    found = program.program_error(error, logs, action="post the job")
    sentence(found)
    json.dumps(found.details, allow_nan=False)


# --- answers ---------------------------------------------------------------------------------------------------------


ANSWERS = [{"jsonrpc": "2.0", "id": 1, "result": result} for _call, result in CALLS] + [{"jsonrpc": "2.0", "id": 1, "error": FAILURE}]


def ask(call: Callable[[Rpc], Awaitable[Any]], body: bytes, status: int = 200) -> Any:
    return run(call(Rpc(Answer(body, status), "http://rpc.example/")))  # type: ignore[arg-type]


def test_right_answers_are_understood() -> None:
    for call, result in CALLS:
        ask(call, json.dumps({"result": result}).encode())


@given(
    number=st.integers(0, len(CALLS) - 1),
    answer=damaged(ANSWERS) | st.builds(lambda value: {"result": value}, WILD | DEEP),
    matching=st.booleans(),
    status=st.sampled_from([200, 200, 200, 403, 404]),
    damage=st.none() | st.integers(0, 200),
)
def test_answers_of_rpc_nodes(number: int, answer: Any, matching: bool, status: int, damage: int | None) -> None:
    call, result = CALLS[number]
    if matching and isinstance(answer, dict) and answer.get("result") in [right for _call, right in CALLS]:
        answer = answer | {"result": result}
    body = as_json(answer)
    with contextlib.suppress(NosanaError):
        ask(call, body if damage is None else body[:damage], status)


@given(number=st.integers(0, len(CALLS) - 1), data=st.data())
def test_answers_of_the_right_kind_with_damage(number: int, data: st.DataObject) -> None:
    call, result = CALLS[number]
    answer = data.draw(damaged([{"jsonrpc": "2.0", "id": 1, "result": result}, {"jsonrpc": "2.0", "id": 1, "error": FAILURE}]))
    with contextlib.suppress(NosanaError):
        ask(call, as_json(answer))


@given(content=st.builds(as_json, WILD | DEEP) | st.binary(max_size=100))
@example(content=b"[" * 100_000)
@example(content=b'{"a":' * 990 + b"1" + b"}" * 990)
@example(content=b"9" * 5000)
@example(content=b"NaN")
@example(content=b'"\xed\xa0\x80"')
def test_documents_of_gateways(content: bytes) -> None:
    ipfs = Ipfs(Answer(content), "http://ipfs.example/", "http://ipfs.example/", None)  # type: ignore[arg-type]
    try:
        document = run(ipfs.fetch_json(cid_of(content)))
    except NosanaError as error:
        sentence(error)
        return
    encode_document(document)
    json.dumps(document)


@pytest.mark.parametrize(
    "extreme",
    [
        lambda test: test(error={"InstructionError": [nested(900, None), {"Custom": 10**400}]}, logs=["x" * 10**6]),
        lambda test: test(error={"InstructionError": [0, nested(100_000, None)]}, logs=[]),
        lambda test: test(error=nested(100_000, "InstructionError"), logs=[]),
    ],
)
def test_errors_of_transactions_that_hypothesis_cannot_show(extreme: Any) -> None:
    extreme(test_errors_of_transactions.hypothesis.inner_test)
