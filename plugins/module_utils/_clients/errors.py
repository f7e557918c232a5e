"""Every error that the clients and the job service raise: one tree, each with a code, whether a retry may help, and one sentence."""
# Copyright (c) 2026, The nosana.compute contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection and may change without notice.

from __future__ import annotations

from typing import Any


class NosanaError(Exception):
    """Base of all errors. ``str(error)`` is one sentence: what is wrong, where, and what to do.

    code: stable word that a playbook may branch on (returned as ``failure.code``).
    retryable: whether the same run may succeed later without a change by the user.
    details: plain JSON values for the result; never a secret.
    landed: signature of the transaction, where it failed on the chain itself, so that its fee is paid all the same.
    """

    code = "error"
    retryable = False

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.details: dict[str, Any] = details
        self.landed: str | None = None


class InvalidInput(NosanaError):
    """An option has a value that cannot work."""

    code = "invalid_input"


class InvalidDefinition(InvalidInput):
    """The job definition does not fit the network's schema; ``details["issues"]`` lists path and expectation."""

    code = "invalid_definition"


class InvalidWallet(InvalidInput):
    """The wallet cannot be read. The message never holds any part of the key."""

    code = "invalid_wallet"


class WrongNetwork(InvalidInput):
    """The RPC node, the program or the mint belong to another network than the one asked for."""

    code = "wrong_network"


class NotFound(NosanaError):
    """Something that was named does not exist (market, job, content)."""

    code = "not_found"


class Unreachable(NosanaError):
    """No usable answer from a server: connection refused, time-out, or 429 and 5xx until the retries were used up."""

    code = "unreachable"
    retryable = True


class Refused(NosanaError):
    """A server answered that it will not do this (4xx other than 429, JSON-RPC error); ``details`` holds status or rpc_code."""

    code = "refused"


class SearchRefused(Refused):
    """The RPC node does not search through accounts (getProgramAccounts), as many public ones do not."""


class UnexpectedAnswer(NosanaError):
    """A server answered something that cannot be true or cannot be read: wrong shape, too large, wrong hash."""

    code = "unexpected_answer"


class NoDocument(UnexpectedAnswer):
    """Content that was verified by its hash and is no JSON document, and never will be one."""


class InsufficientFunds(NosanaError):
    """The wallet has too little SOL or NOS; the message names needed and available."""

    code = "insufficient_funds"


class ProgramError(NosanaError):
    """A program rejected the transaction; ``name`` is the program's own word for it, such as MarketInWrongState."""

    code = "program_error"

    def __init__(self, message: str, *, name: str, number: int | None, instruction: int | None, logs: list[str]) -> None:
        super().__init__(message, name=name, number=number, instruction=instruction, logs=logs)
        self.name = name
        self.number = number
        self.instruction = instruction
        self.logs = logs


class TransactionExpired(NosanaError):
    """The transaction did not land before its blockhash expired; nothing happened and nothing was paid."""

    code = "transaction_expired"
    retryable = True


class OutcomeUnknown(NosanaError):
    """It could not be learned whether the transaction landed; the next run finds out before it does anything."""

    code = "outcome_unknown"
    retryable = True


class CostLimit(NosanaError):
    """A posting or an extension would cost more than max_cost; nothing was paid."""

    code = "cost_limit"


class HistoryUnavailable(NosanaError):
    """A job of the name existed and the node does not have the transactions that tell what became of it; nothing was posted."""

    code = "history_unavailable"


class Moved(NosanaError):
    """The chain moved on between looking and acting; looking again settles it."""

    code = "moved"
    retryable = True


class AmbiguousName(NosanaError):
    """More than one active job has the name; ``details["addresses"]`` lists them."""

    code = "ambiguous_name"


class ChangeRefused(NosanaError):
    """The job differs from the declared one and on_change=fail."""

    code = "change_refused"


class WaitTimeout(NosanaError):
    """The awaited state was not reached in time; the job goes on and costs, or it is over and its result cannot be read."""

    code = "wait_timeout"
    retryable = True


class Interrupted(NosanaError):
    """The waiting was cut off from outside; a job that was posted goes on and costs."""

    code = "interrupted"
    retryable = True


class JobFailed(NosanaError):
    """The job ended without success while its success was awaited."""

    code = "job_failed"
