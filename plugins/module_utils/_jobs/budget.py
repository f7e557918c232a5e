"""Whether a plan may be paid for: the limits of the declaration, of the market and of the wallet; and what it really took (pure)."""
# Copyright (c) 2026, The nosana.compute contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection and may change without notice.

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from .._clients import program as jobs_program
from .._clients.errors import CostLimit, InsufficientFunds, InvalidInput
from .money import BUDGETED_FEE_FRACTION, TRANSACTION_FEE_BUDGET_LAMPORTS, Need, check_funds, nos
from .plan import Extend, Post, Remove

if TYPE_CHECKING:
    from .apply import Prepared
    from .observation import Observation, ObservedJob
    from .outcome import Outcome
    from .plan import Desired, Plan

# Thirty years: what is longer is a mistake, and overflows on the chain.
MOST_TIMEOUT_SECONDS = 10**9
JOB_BYTES = 240
_RUN_BYTES, _TOKEN_ACCOUNT_BYTES = 120, 165


def check_declared(plan: Plan, desired: Desired, market: jobs_program.Market) -> None:
    """Raises InvalidInput for what nobody can mean, before anything is asked of the chain about it."""
    post = plan.posts
    if post is None:
        return
    if not 0 < post.timeout_seconds <= MOST_TIMEOUT_SECONDS:
        raise InvalidInput(f"timeout is {post.timeout_seconds} s, and must be from 1 to {MOST_TIMEOUT_SECONDS} s.")
    if not market.takes_jobs:
        raise InvalidInput(f"The market {desired.market} queues no jobs (its job type is unknown), so a deposit there would be lost.")
    if post.node is not None and not market.queues_node(post.node):
        raise InvalidInput(f"The host {post.node} does not wait in the market {desired.market}, so no job can be assigned to it.")


def check_money(
    plan: Plan, seen: Observation, prepared: Sequence[Prepared], *, name: str, wallet: str, nos_mint: str, max_cost_base_units: int | None
) -> int | None:
    """Raises CostLimit or InsufficientFunds before anything is spent, or the error that the transaction would meet.

    Returns the network fee in NOS base units, None while the node does not tell.
    """
    action = next((action for action in plan.actions if isinstance(action, (Post, Extend))), None)
    if action is None or seen.market is None or not prepared:
        return None
    asked = prepared[0]
    price = seen.market.job_price if isinstance(action, Post) else action.job.account.price
    before = 0 if isinstance(action, Post) else action.job.account.timeout_seconds
    deposit = jobs_program.deposit(price, action.timeout_seconds - before)
    fee = asked.network_fee(jobs_program.token_account(wallet, nos_mint), deposit)
    budgeted = fee if fee is not None else jobs_program.network_fee(deposit, BUDGETED_FEE_FRACTION)
    total = jobs_program.deposit(price, action.timeout_seconds) + budgeted
    if max_cost_base_units is not None and total > max_cost_base_units:
        raise CostLimit(
            f"The job {name} would cost up to {nos(total)} NOS for {action.timeout_seconds} s, and max_cost is "
            f"{nos(max_cost_base_units)} NOS; nothing was paid.",
            cost_base_units=total,
            max_cost_base_units=max_cost_base_units,
        )
    wallet_nos = (seen.nos_base_units or 0) + sum(_refund_now(each.job, seen) for each in plan.actions if isinstance(each, Remove))
    lamports = asked.quote.fee_lamports if asked.quote else TRANSACTION_FEE_BUDGET_LAMPORTS
    # What simulation finds too little although the deposit is there is short of the network fee.
    fees = [fee or 0, *([budgeted] if isinstance(asked.error, InsufficientFunds) else [])]
    for network_fee in fees:
        check_funds(
            Need(deposit + network_fee, _rent(action, seen), lamports),
            nos_base_units=wallet_nos,
            lamports=seen.lamports,
            wallet=wallet,
            what="extend the job" if isinstance(action, Extend) else "post the job",
        )
    if asked.error is not None:
        raise asked.error
    return fee


def _rent(action: Post | Extend, seen: Observation) -> int:
    if isinstance(action, Extend) or seen.market is None:
        return 0
    runs_at_once = action.node is not None or seen.market.queue_type == jobs_program.QUEUE_OF_NODES
    sizes = [JOB_BYTES, *([_RUN_BYTES] if runs_at_once else []), *([_TOKEN_ACCOUNT_BYTES] if seen.nos_base_units is None else [])]
    return sum(seen.rent_lamports(size) for size in sizes)


def _refund_now(job: ObservedJob, seen: Observation) -> int:
    account = job.account
    started = job.run.time_start if job.run is not None else seen.now_seconds
    return jobs_program.refund(account.price, started, max(started, seen.now_seconds), account.timeout_seconds)


def fee_taken(outcome: Outcome, plan: Plan) -> Callable[[ObservedJob], int | None]:
    """The network fee that a posting or extension really took: what left the wallet beyond the deposit at the job's own price."""
    extend = next((action for action in plan.actions if isinstance(action, Extend)), None)
    before = extend.job.account.timeout_seconds if extend else 0
    paid = next((done.nos_base_units for done in outcome.actions if done.kind in ("post", "extend")), None)

    def fee(job: ObservedJob) -> int | None:
        if paid is None:
            return None
        beyond = -paid - jobs_program.deposit(job.account.price, job.account.timeout_seconds - before)
        return beyond if beyond >= 0 else None

    return fee
