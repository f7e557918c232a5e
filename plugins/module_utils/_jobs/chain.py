"""What several services ask of the chain as a whole: which one it is, what time it has, how its markets stand; reads only."""
# Copyright (c) 2026, The nosana.compute contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection and may change without notice.

from __future__ import annotations

import struct
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

from .._clients import program as jobs_program
from .._clients.errors import UnexpectedAnswer, WrongNetwork
from .._clients.networks import NETWORKS

if TYPE_CHECKING:
    from .._clients.networks import Network
    from .._clients.rpc import Account, Rpc

_SYSVAR = "Sysvar1111111111111111111111111111111111111"


async def check_network(rpc: Rpc, network: Network, *, knows_program: bool | None = None) -> None:
    """Raises WrongNetwork unless the chain is the one that the user means, localnet included.

    knows_program: whether the jobs program is there, where that was read already.
    """
    genesis = await rpc.get_genesis_hash()
    known = {other.genesis_hash: other.name for other in NETWORKS.values() if other.genesis_hash is not None}
    if known.get(genesis, network.name) != network.name:
        raise WrongNetwork(f"The RPC node serves {known[genesis]} and network is {network.name}; check network and rpc_url.")
    if knows_program is None:
        knows_program = await rpc.get_account(network.jobs_program) is not None
    if not knows_program:
        raise WrongNetwork(
            f"The RPC node does not know the jobs program {network.jobs_program} of {network.name}: it serves another network; "
            "check network and rpc_url."
        )


async def read_markets(rpc: Rpc, network: Network, addresses: Iterable[str]) -> dict[str, jobs_program.Market]:
    """The market accounts by address; an address where there is none of this network's markets is left out."""
    wanted = sorted(set(addresses))
    markets = {}
    for address, account in zip(wanted, await rpc.get_multiple_accounts(wanted), strict=True):
        if account is not None and account.owner == network.jobs_program:
            with suppress(UnexpectedAnswer):
                markets[address] = jobs_program.decode_market(account.data)
    return markets


async def read_time(rpc: Rpc) -> int:
    """The chain's own time in unix seconds, which is what its programs go by."""
    return time_of(await rpc.get_account(jobs_program.CLOCK_SYSVAR))


def time_of(clock: Account | None) -> int:
    """Unix seconds, from the clock account. Without it there is no time: this machine's may be off by hours, and call a host dead that lives."""
    if clock is None:
        raise UnexpectedAnswer("The Solana RPC node does not know the chain's clock; check rpc_url or NOSANA_RPC_URL.")
    if clock.owner != _SYSVAR or len(clock.data) < 40:
        raise UnexpectedAnswer("What the Solana RPC node calls the chain's clock is something else; check rpc_url or NOSANA_RPC_URL.")
    (seconds,) = struct.unpack_from("<q", clock.data, 32)
    return int(seconds)
