"""What a posting needs in NOS and SOL, and whether the wallet has it (pure)."""
# Copyright (c) 2026, The nosana.compute contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection and may change without notice.

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from .._clients.errors import InsufficientFunds

LAMPORTS_PER_SOL = 10**9
BASE_UNITS_PER_NOS = 10**6
# What is budgeted for the network fee while it is not known what the program takes: a tenth, as it did before June 2026 (facts §4).
BUDGETED_FEE_FRACTION = 10
# Three signatures at 5,000 lamports and the highest priority fee we would pay for one listing.
TRANSACTION_FEE_BUDGET_LAMPORTS = 50_000


@dataclass(frozen=True)
class Need:
    """What the next transactions take from the wallet: the deposit in NOS base units; rent (which comes home) and fees in lamports."""

    nos_base_units: int
    rent_lamports: int
    fee_lamports: int

    @property
    def lamports(self) -> int:
        """All the SOL that has to be there when the transaction is sent."""
        return self.rent_lamports + self.fee_lamports


def nos(base_units: int) -> str:
    """NOS as a plain decimal text without an exponent: 43 → 0.000043."""
    return f"{(Decimal(base_units) / BASE_UNITS_PER_NOS).normalize():f}"


def sol(lamports: int) -> str:
    """SOL as a plain decimal text without an exponent."""
    return f"{(Decimal(lamports) / LAMPORTS_PER_SOL).normalize():f}"


def check_funds(need: Need, *, nos_base_units: int, lamports: int, wallet: str, what: str) -> None:
    """Raises InsufficientFunds with needed and available when the wallet cannot pay for `what`."""
    if nos_base_units < need.nos_base_units:
        raise InsufficientFunds(
            f"Not enough NOS to {what}: {nos(need.nos_base_units)} NOS are needed and the wallet {wallet} has {nos(nos_base_units)}; "
            "top it up, or ask for a shorter timeout or a cheaper market.",
            needed_base_units=need.nos_base_units,
            available_base_units=nos_base_units,
        )
    if lamports < need.lamports:
        raise InsufficientFunds(
            f"Not enough SOL to {what}: {sol(need.lamports)} SOL are needed for rent and fees and the wallet {wallet} has {sol(lamports)}; "
            "top it up.",
            needed_lamports=need.lamports,
            available_lamports=lamports,
        )
