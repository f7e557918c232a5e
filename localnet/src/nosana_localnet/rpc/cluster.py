"""The JSON-RPC methods about blocks and the cluster, as a cluster of one validator answers them that nobody pays to validate."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any, Final

from ..ledger import FAUCET_LAMPORTS, SLOT_SECONDS, SLOTS_PER_EPOCH, Ledger
from . import params, transactions
from .errors import BLOCK_NOT_AVAILABLE, SLOT_SKIPPED, RpcError, invalid

MAX_BLOCKS: Final = 500_000
MAX_LEADERS: Final = 5000
SAMPLE_SECONDS: Final = 60
_DETAILS: Final = ("full", "accounts", "signatures", "none")


def get_block(ledger: Ledger, args: list[Any]) -> Any:
    slot = params.unsigned(args[0])
    config = params.Config({"encoding": args[1]} if isinstance(args[1], str) else args[1])
    form = config.get("encoding", lambda value: params.choice(value, params.TRANSACTION_ENCODINGS), "json")
    details = config.get("transactionDetails", lambda value: params.choice(value, _DETAILS), "full")
    max_version = config.get("maxSupportedTransactionVersion", lambda value: params.unsigned(value, "u8"), None)
    commitment = config.commitment()
    if commitment == "processed":
        raise invalid("Method does not support commitment below `confirmed`")
    if slot > ledger.slot_at(commitment):
        raise RpcError(BLOCK_NOT_AVAILABLE, f"Block not available for slot {slot}")
    if not ledger.has_block(slot):
        raise RpcError(SLOT_SKIPPED, f"Slot {slot} was skipped, or missing due to ledger jump to recent snapshot")
    parent = ledger.parent_slot(slot)
    shown: dict[str, Any] = {
        "blockHeight": slot,
        "blockTime": ledger.block_time(slot),
        "blockhash": str(ledger.block_hash(slot)),
        "parentSlot": parent,
        "previousBlockhash": str(ledger.block_hash(parent)),
    }
    records = [record for record in ledger.records() if record.slot == slot]
    if details == "signatures":
        shown["signatures"] = [str(record.signature) for record in records]
    elif details != "none":
        entries = [transactions.transaction_json(record, form, max_version) for record in records]
        shown["transactions"] = [{key: entry[key] for key in ("meta", "transaction", "version") if key in entry} for entry in entries]
    if config.get("rewards", params.flag, True):
        shown["rewards"] = []
    return shown


def get_blocks(ledger: Ledger, args: list[Any]) -> Any:
    first = params.unsigned(args[0])
    end = args[1]
    config = params.Config(args[2])
    if isinstance(end, dict) or end is None:
        config, end = params.Config(end if end is not None else args[2]), None
    last = min(ledger.slot_at(config.commitment()), params.unsigned(end) if end is not None else ledger.slot)
    if last - first > MAX_BLOCKS:
        raise invalid(f"Slot range too large; max {MAX_BLOCKS}")
    return ledger.blocks(first, last)


def get_blocks_with_limit(ledger: Ledger, args: list[Any]) -> Any:
    first, limit = params.unsigned(args[0]), params.unsigned(args[1], "usize")
    if limit > MAX_BLOCKS:
        raise invalid(f"Limit too large; max {MAX_BLOCKS}")
    return ledger.blocks(first, ledger.slot_at(params.Config(args[2]).commitment()))[:limit]


def get_block_commitment(_ledger: Ledger, args: list[Any]) -> Any:
    params.unsigned(args[0])
    return {"commitment": None, "totalStake": 0}


def get_block_production(ledger: Ledger, args: list[Any]) -> Any:
    slot = ledger.slot_at(params.Config(args[0]).commitment())
    first = slot // SLOTS_PER_EPOCH * SLOTS_PER_EPOCH
    slots = slot - first + 1
    value = {
        "byIdentity": {str(ledger.identity): [slots, len(ledger.blocks(first, slot))]},
        "range": {"firstSlot": first, "lastSlot": slot},
    }
    return {"context": {"slot": slot}, "value": value}


def get_cluster_nodes(ledger: Ledger, _args: list[Any]) -> Any:
    addresses = ("gossip", "pubsub", "rpc", "serveRepair", "tpu", "tpuForwards", "tpuForwardsQuic", "tpuQuic", "tpuVote", "tvu")
    return [dict.fromkeys(addresses) | {"featureSet": None, "pubkey": str(ledger.identity), "shredVersion": 1, "version": None}]


def get_vote_accounts(_ledger: Ledger, _args: list[Any]) -> Any:
    return {"current": [], "delinquent": []}


def get_leader_schedule(ledger: Ledger, _args: list[Any]) -> Any:
    return {str(ledger.identity): []}


def get_slot_leaders(ledger: Ledger, args: list[Any]) -> Any:
    params.unsigned(args[0])
    limit = params.unsigned(args[1])
    if limit > MAX_LEADERS:
        raise invalid(f"Invalid limit; max {MAX_LEADERS}")
    return [str(ledger.identity)] * limit


def get_inflation_governor(_ledger: Ledger, _args: list[Any]) -> Any:
    return {"foundation": 0.0, "foundationTerm": 0.0, "initial": 0.0, "taper": 1.0, "terminal": 0.0}


def get_inflation_rate(ledger: Ledger, _args: list[Any]) -> Any:
    return {"epoch": ledger.slot // SLOTS_PER_EPOCH, "foundation": 0.0, "total": 0.0, "validator": 0.0}


def get_inflation_reward(_ledger: Ledger, args: list[Any]) -> Any:
    return [None for item in params.items(args[0]) if params.pubkey(item)]


def get_recent_performance_samples(ledger: Ledger, args: list[Any]) -> Any:
    limit = params.unsigned(args[0], "usize") if args[0] is not None else 720
    if limit > 720:
        raise invalid("Invalid limit; max 720")
    slots = round(SAMPLE_SECONDS / SLOT_SECONDS)
    sample = {"numSlots": slots, "numTransactions": 0, "numNonVoteTransactions": 0, "samplePeriodSecs": SAMPLE_SECONDS}
    return [{"slot": ledger.slot - index * slots} | sample for index in range(min(limit, ledger.slot // slots))]


def get_largest_accounts(ledger: Ledger, args: list[Any]) -> Any:
    commitment = params.Config(args[0]).commitment()
    value = [{"address": str(ledger.faucet.pubkey()), "lamports": min(FAUCET_LAMPORTS, ledger.balance(ledger.faucet.pubkey(), commitment))}]
    return {"context": {"slot": ledger.slot_at(commitment)}, "value": value}


def get_stake_minimum_delegation(ledger: Ledger, args: list[Any]) -> Any:
    return {"context": {"slot": ledger.slot_at(params.Config(args[0]).commitment())}, "value": 1}


def get_current_slot(ledger: Ledger, _args: list[Any]) -> Any:
    return ledger.slot
