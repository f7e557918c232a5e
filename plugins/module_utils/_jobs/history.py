"""What became of a job whose account is gone, read from the transactions that named it."""
# Copyright (c) 2026, The nosana.compute contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection and may change without notice.

from __future__ import annotations

import struct
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass

from .._clients import program as jobs_program
from .._clients.rpc import Transaction

REMOVED_BY = frozenset({"delist", "recover"})
CLOSED_BY = REMOVED_BY | {"clean", "clean_admin"}
_POSTED_BY = frozenset({"list", "assign"})
_RESULT_BY = frozenset({"finish", "complete"})
_OVER_BY = frozenset({"finish", "end"})
# Anybody may name an address in a transaction of his own, so there may be more of them than are ours.
_MOST_READ = 50
_WORDS = {jobs_program.discriminator("global", name): name for name in jobs_program.INSTRUCTIONS}

ReadTransaction = Callable[[str], Awaitable[Transaction | None]]


@dataclass(frozen=True)
class Fate:
    """`last` is the newest instruction that named the job. `job` is the account as it was at its end; None for a job that was removed.

    run: the account of its run, where there was one; `ended`: its owner ended it.
    """

    last: str
    job: jobs_program.Job | None
    run: str | None = None
    ended: bool = False


@dataclass(frozen=True)
class _Event:
    name: str
    accounts: dict[str, str]
    arguments: bytes
    time_seconds: int


async def read_fate(read: ReadTransaction, program: str, address: str, signatures: Sequence[str]) -> Fate | None:
    """The end of the job at `address`, whose successful transactions are `signatures`, newest first; None when the node lacks one of them.

    Only as many transactions are read as the answer needs: one for a job that was removed, and none of what was at the address before it.
    """
    newest: list[_Event] = []
    for signature in signatures[:_MOST_READ]:
        transaction = await read(signature)
        if transaction is None:
            return None
        newest += reversed(list(_events(transaction, program, address)))
        if not newest:
            continue
        if newest[0].name not in CLOSED_BY or newest[0].name in REMOVED_BY:
            return Fate(newest[0].name, None)
        if any(event.name in _POSTED_BY for event in newest):
            break
    if not newest:
        return None
    # The newest posting: a job that was taken away may have had the address before. Beyond what is read only the oldest can be found.
    posted = next((event for event in newest if event.name in _POSTED_BY), None)
    if posted is None and len(signatures) > _MOST_READ:
        listing = await read(signatures[-1])
        posted = next((event for event in _events(listing, program, address) if event.name in _POSTED_BY), None) if listing else None
    job = _job(posted, newest) if posted else None
    over = next((event for event in newest if event.name in _OVER_BY), None)
    run = over.accounts["run"] if over else None
    return Fate(newest[0].name, job, run, ended=over is not None and over.name == "end") if job else None


async def ended_by_owner(read: ReadTransaction, program: str, address: str, signatures: Sequence[str]) -> bool | None:
    """Whether `end` is how the job came to its end; None when the node cannot show it."""
    for signature in signatures[:_MOST_READ]:
        transaction = await read(signature)
        words = {event.name for event in _events(transaction, program, address)} if transaction else set()
        if words & _OVER_BY:
            return "end" in words
    return None


def _events(transaction: Transaction, program: str, address: str) -> Iterator[_Event]:
    """The instructions of the jobs program that name the job as their job, in order."""
    for call in transaction.calls:
        name = _WORDS.get(call.data[:8]) if call.program == program else None
        words = [word.partition(":")[0] for word in jobs_program.INSTRUCTIONS[name].split()] if name else []
        accounts = dict(zip(words, call.accounts, strict=False))
        if name and accounts.get("job") == address:
            yield _Event(name, accounts, call.data[8:], transaction.time or 0)


def _job(posted: _Event, newest: Sequence[_Event]) -> jobs_program.Job | None:
    """The account as its last transactions left it. What they do not tell is 0: price, start."""
    if len(posted.arguments) < 40:
        return None
    result = next((event.arguments[:32] for event in newest if event.name in _RESULT_BY), b"")
    over = next((event for event in newest if event.name in _OVER_BY), None)
    return jobs_program.Job(
        ipfs_job=posted.arguments[:32],
        ipfs_result=result if any(result) else None,
        market=posted.accounts["market"],
        node=None,
        payer=posted.accounts["payer"],
        price=0,
        project=posted.accounts["authority"],
        # What an administrator closed was never over: an orphan, or a job that still waited.
        state=jobs_program.JOB_DONE if over else jobs_program.JOB_QUEUED,
        time_end=over.time_seconds if over else 0,
        time_start=0,
        timeout_seconds=struct.unpack_from("<q", posted.arguments, 32)[0],
    )
