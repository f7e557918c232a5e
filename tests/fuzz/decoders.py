"""Everything that reads bytes of others, as a function of bytes: a value, or an error of ours in one sentence, and nothing else.

Each returns whether the bytes were understood. `make fuzz-decoders` gives them what atheris makes up, `make test-fuzz` the kept corpus.
"""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import math
from collections.abc import Awaitable, Callable
from typing import Any

from documents import UNPRINTABLE, Answer, run, sentence
from questions import CALLS, JOBS_PROGRAM, KEY

from ansible_collections.nosana.compute.plugins.module_utils._clients import program
from ansible_collections.nosana.compute.plugins.module_utils._clients.errors import NosanaError
from ansible_collections.nosana.compute.plugins.module_utils._clients.http import Response, retry_after_seconds
from ansible_collections.nosana.compute.plugins.module_utils._clients.ipfs import Ipfs, cid_of, encode_document
from ansible_collections.nosana.compute.plugins.module_utils._clients.node import service_urls
from ansible_collections.nosana.compute.plugins.module_utils._clients.rest import Api
from ansible_collections.nosana.compute.plugins.module_utils._clients.rpc import Account, Rpc, Transaction
from ansible_collections.nosana.compute.plugins.module_utils._jobs.cache import facts_of_definition
from ansible_collections.nosana.compute.plugins.module_utils._jobs.chain import time_of
from ansible_collections.nosana.compute.plugins.module_utils._jobs.definition import declare, parse, redact, secrets
from ansible_collections.nosana.compute.plugins.module_utils._jobs.history import ended_by_owner, read_fate
from ansible_collections.nosana.compute.plugins.module_utils._jobs.observe import _rent_per_byte
from ansible_collections.nosana.compute.plugins.module_utils._jobs.verdict import judge, log_tail, read_log

_SYSVAR = "Sysvar1111111111111111111111111111111111111"


def account(data: bytes) -> bool:
    """Accounts of the program, token accounts, and the chain's own ones."""
    readers: list[Callable[[bytes], Any]] = [program.decode_job, program.decode_run, program.decode_market, program.token_amount]
    readers.append(lambda raw: time_of(Account(1, _SYSVAR, raw)))
    found = [value for reader in readers if (value := _value_of(lambda reader=reader: reader(data))) is not None]  # type: ignore[misc]
    for job in (value for value in found if isinstance(value, program.Job)):
        paid = program.paid(job.price, job.time_start, job.time_end, job.timeout_seconds)
        back = program.refund(job.price, job.time_start, job.time_end, job.timeout_seconds)
        assert paid + back == program.deposit(job.price, job.timeout_seconds)
    assert 0 <= _rent_per_byte(Account(1, _SYSVAR, data)) < 10**9
    return any(isinstance(value, (program.Job, program.Run, program.Market)) for value in found)


def answer(data: bytes) -> bool:
    """Answers of an RPC node: the first byte says to which question."""
    number, body = data[0] if data else 0, data[1:]
    question = CALLS[number % len(CALLS)][0]
    status = 200 if number < 200 else 404
    found: list[Any] = []

    async def ask() -> None:
        found.append(await question(Rpc(Answer(body, status), "http://rpc.example/")))  # type: ignore[arg-type]

    return _holds(lambda: run(ask())) and bool(found)


def history(data: bytes) -> bool:
    """A landed transaction, and what it tells of a job that is gone."""
    rpc = Rpc(Answer(b'{"result": %s}' % data), "http://rpc.example/")  # type: ignore[arg-type]

    async def read(signature: str) -> Transaction | None:
        return await rpc.get_transaction(signature)

    fate: list[Any] = []

    async def ask(question: Awaitable[Any]) -> None:
        fate.append(await question)

    understood = _holds(lambda: run(ask(read_fate(read, JOBS_PROGRAM, KEY, ["one", "two"]))))
    _holds(lambda: run(ask(ended_by_owner(read, JOBS_PROGRAM, KEY, ["one"]))))
    return understood and fate[0] is not None


def failure(data: bytes) -> bool:
    """What a node says of a transaction that failed: a pair of the error and its log lines, as JSON."""
    try:
        error, logs = json.loads(data)
        logs = [line for line in logs if isinstance(line, str)]
    except (ValueError, TypeError, RecursionError):
        return False
    found = program.program_error(error, logs, action="post the job")
    sentence(found)
    json.dumps(found.details, allow_nan=False)
    return found.code == "program_error"


def document(data: bytes) -> bool:
    """Documents of a gateway, and what is made of a pinned definition."""
    ipfs = Ipfs(Answer(data), "http://ipfs.example/", "http://ipfs.example/", None)  # type: ignore[arg-type]
    found: Any = None

    async def read() -> None:
        nonlocal found
        found = await ipfs.fetch_json(cid_of(data))

    if not _holds(lambda: run(read())):
        return False
    encode_document(found)
    facts_of_definition(found)
    json.dumps(redact(found))
    secrets(found)
    return isinstance(found, dict) and bool(service_urls(found, KEY, "node.example"))


def result(data: bytes) -> bool:
    """Results of hosts."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return False
    statuses = set()
    for service in (False, True):
        verdict = judge(job_state=2, has_run=False, has_result=True, result=value, exposes_port=service)
        sentence(NosanaError(verdict.sentence))
        statuses.add(verdict.status)
        assert verdict.status in ("completed", "failed", "cancelled")
    for line in (*read_log(value).lines, *log_tail(value)):
        assert not UNPRINTABLE.search(line.op + line.type + line.text)
    return statuses != {"failed"}


def definition(data: bytes) -> bool:
    """Definitions that a user declares, as text."""
    text = data.decode("utf-8", "surrogateescape")
    return _holds(lambda: declare(parse(text), "web")) and _holds(lambda: encode_document(declare(parse(text), "web").document))


def market_list(data: bytes) -> bool:
    """Answers of the REST API: the list of markets, a market by its slug, credits."""
    api = Api(Answer(data), "http://api.example/")  # type: ignore[arg-type]
    listings: list[Any] = []

    async def read() -> None:
        listings.extend(await api.listings())

    _holds(lambda: run(read()))
    for listing in listings:
        for text in (listing.slug, listing.name, listing.type, *listing.gpu_types):
            assert text.isprintable()
            assert len(text) <= 100
    understood = _holds(lambda: run(api.resolve_market("nvidia-3090")))
    return _holds(lambda: run(api.credits("key"))) or understood


def header(data: bytes) -> bool:
    """The one header of an answer that is read: when to ask again."""
    seconds = retry_after_seconds({"retry-after": data.decode("latin-1")}, 1_700_000_000.0)
    assert seconds is None or (seconds >= 0 and not math.isnan(seconds))
    return seconds is not None


def body(data: bytes) -> bool:
    """Any body as JSON."""
    return _holds(lambda: Response(200, {}, data, "Solana RPC node").json())


DECODERS: dict[str, Callable[[bytes], bool]] = {
    each.__name__: each for each in (account, answer, history, failure, document, result, definition, market_list, header, body)
}


def _value_of(read: Callable[[], Any]) -> Any:
    """The value, or None for an error of ours."""
    try:
        return read()
    except NosanaError as error:
        sentence(error)
        return None


def _holds(read: Callable[[], Any]) -> bool:
    """Whether there was a value; an error has to be one of ours."""
    try:
        read()
    except NosanaError as error:
        sentence(error)
        return False
    return True
