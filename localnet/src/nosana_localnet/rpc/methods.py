"""The JSON-RPC methods. ``METHODS`` at the end maps each name to its handler and how many parameters it takes."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from solders.account import Account
from solders.message import from_bytes_versioned
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.transaction import VersionedTransaction

from ..ledger import (
    FAUCET_LAMPORTS,
    SLOTS_PER_EPOCH,
    TOKEN_2022_PROGRAM,
    TOKEN_PROGRAM,
    Commitment,
    Ledger,
    Outcome,
    Record,
    Rejected,
)
from . import cluster, encoding, params, transactions
from .errors import BLOCK_NOT_AVAILABLE, INTERNAL_ERROR, MIN_CONTEXT_SLOT, PREFLIGHT_FAILURE, RpcError, describe, invalid

API_VERSION: Final = "3.1.12"
"""The Agave release whose answers these are modelled on."""

FEATURE_SET: Final = 4_140_108_451
MAX_ACCOUNTS: Final = 100
MAX_STATUSES: Final = 256
MAX_SIGNATURES: Final = 1000
MAX_FEE_ACCOUNTS: Final = 128
MAX_TRANSACTION_BYTES: Final = 1232
_TRANSACTION_TYPE: Final = "solana_transaction::versioned::VersionedTransaction"
_ENCODED_LIMIT: Final = {"base58": 1683, "base64": 1644}

Handler = Callable[[Ledger, list[Any]], Any]


@dataclass(frozen=True, slots=True)
class Method:
    """A handler and the least and most parameters that a call of it has."""

    handler: Handler
    required: int
    maximum: int


# ---- helpers


def _at(ledger: Ledger, config: params.Config, default: Commitment = "finalized") -> Commitment:
    """The commitment level of a call, after its minContextSlot is checked."""
    commitment = config.commitment(default=default)
    _check_context_slot(ledger, config, commitment)
    return commitment


def _check_context_slot(ledger: Ledger, config: params.Config, commitment: Commitment) -> None:
    slot = ledger.slot_at(commitment)
    if config.get("minContextSlot", params.unsigned, 0) > slot:
        raise RpcError(MIN_CONTEXT_SLOT, "Minimum context slot has not been reached", {"contextSlot": slot})


def _confirmed(config: params.Config) -> Commitment:
    commitment = config.commitment()
    if commitment == "processed":
        raise invalid("Method does not support commitment below `confirmed`")
    return commitment


def with_context(ledger: Ledger, commitment: Commitment, value: Any) -> dict[str, Any]:
    return {"context": {"apiVersion": API_VERSION, "slot": ledger.slot_at(commitment)}, "value": value}


def _optional_account(ledger: Ledger, key: Pubkey, account: Account | None, form: str, part: params.DataSlice | None) -> Any:
    return None if account is None else encoding.account_json(key, account, form, ledger.decimals, part)


def _level(ledger: Ledger, record: Record) -> Commitment:
    if record.slot <= ledger.slot_at("finalized"):
        return "finalized"
    return "confirmed" if record.slot <= ledger.slot_at("confirmed") else "processed"


# ---- the node


def get_health(_ledger: Ledger, _args: list[Any]) -> Any:
    return "ok"


def get_version(_ledger: Ledger, _args: list[Any]) -> Any:
    return {"feature-set": FEATURE_SET, "solana-core": API_VERSION}


def get_genesis_hash(ledger: Ledger, _args: list[Any]) -> Any:
    return str(ledger.genesis_hash)


def get_identity(ledger: Ledger, _args: list[Any]) -> Any:
    return {"identity": str(ledger.identity)}


def get_slot_leader(ledger: Ledger, _args: list[Any]) -> Any:
    return str(ledger.identity)


def get_slot(ledger: Ledger, args: list[Any]) -> Any:
    return ledger.slot_at(_at(ledger, params.Config(args[0])))


def get_epoch_info(ledger: Ledger, args: list[Any]) -> Any:
    slot = get_slot(ledger, args)
    return {
        "absoluteSlot": slot,
        "blockHeight": slot,
        "epoch": slot // SLOTS_PER_EPOCH,
        "slotIndex": slot % SLOTS_PER_EPOCH,
        "slotsInEpoch": SLOTS_PER_EPOCH,
        "transactionCount": ledger.transaction_count,
    }


def get_epoch_schedule(_ledger: Ledger, _args: list[Any]) -> Any:
    return {
        "firstNormalEpoch": 0,
        "firstNormalSlot": 0,
        "leaderScheduleSlotOffset": SLOTS_PER_EPOCH,
        "slotsPerEpoch": SLOTS_PER_EPOCH,
        "warmup": False,
    }


def get_transaction_count(ledger: Ledger, args: list[Any]) -> Any:
    _at(ledger, params.Config(args[0]))
    return ledger.transaction_count


def get_first_slot(_ledger: Ledger, _args: list[Any]) -> Any:
    return 0


def get_highest_snapshot_slot(ledger: Ledger, _args: list[Any]) -> Any:
    return {"full": ledger.slot_at("finalized") // 100 * 100, "incremental": None}


def get_block_time(ledger: Ledger, args: list[Any]) -> Any:
    slot = params.unsigned(args[0])
    found = ledger.block_time(slot)
    if found is None:
        raise RpcError(BLOCK_NOT_AVAILABLE, f"Block not available for slot {slot}")
    return found


def get_supply(ledger: Ledger, args: list[Any]) -> Any:
    commitment = _at(ledger, params.Config(args[0]))
    value = {"circulating": FAUCET_LAMPORTS, "nonCirculating": 0, "nonCirculatingAccounts": [], "total": FAUCET_LAMPORTS}
    return with_context(ledger, commitment, value)


def get_minimum_balance(ledger: Ledger, args: list[Any]) -> Any:
    return ledger.rent(params.unsigned(args[0], "usize"))


def get_prioritization_fees(ledger: Ledger, args: list[Any]) -> Any:
    keys = [params.pubkey(item) for item in params.items(args[0] or [], MAX_FEE_ACCOUNTS)]
    return [{"prioritizationFee": fee, "slot": slot} for slot, fee in ledger.prioritization_fees(keys)]


# ---- blockhashes and fees


def get_latest_blockhash(ledger: Ledger, args: list[Any]) -> Any:
    commitment = _at(ledger, params.Config(args[0]))
    return with_context(ledger, commitment, _blockhash_json(ledger, commitment))


def _blockhash_json(ledger: Ledger, commitment: Commitment) -> dict[str, Any]:
    latest = ledger.latest_blockhash(commitment)
    return {"blockhash": str(latest.hash), "lastValidBlockHeight": latest.last_valid_block_height}


def is_blockhash_valid(ledger: Ledger, args: list[Any]) -> Any:
    block_hash = params.block_hash(args[0])
    commitment = _at(ledger, params.Config(args[1]))
    return with_context(ledger, commitment, ledger.is_blockhash_valid(block_hash, commitment))


def get_fee_for_message(ledger: Ledger, args: list[Any]) -> Any:
    raw = params.base64_bytes(args[0])
    commitment = _at(ledger, params.Config(args[1]))
    try:
        message = from_bytes_versioned(raw)
        unsigned = VersionedTransaction.populate(message, [Signature.default()] * message.header.num_required_signatures)
        unsigned.sanitize()
    except Exception:
        raise invalid("invalid message: it does not decode as a legacy or versioned message") from None
    fee = None
    if ledger.is_blockhash_valid(message.recent_blockhash, commitment):
        fee = ledger.simulate(unsigned, commitment, verify_signatures=False).metadata.fee()
    return with_context(ledger, commitment, fee)


# ---- accounts


def get_account_info(ledger: Ledger, args: list[Any]) -> Any:
    key, config = params.pubkey(args[0]), params.Config(args[1])
    form, part, commitment = config.encoding(), config.data_slice(), _at(ledger, config)
    return with_context(ledger, commitment, _optional_account(ledger, key, ledger.account(key, commitment), form, part))


def get_multiple_accounts(ledger: Ledger, args: list[Any]) -> Any:
    config = params.Config(args[1])
    keys = [params.pubkey(item) for item in params.items(args[0], MAX_ACCOUNTS)]
    form, part, commitment = config.encoding("base64"), config.data_slice(), _at(ledger, config)
    value = [_optional_account(ledger, key, ledger.account(key, commitment), form, part) for key in keys]
    return with_context(ledger, commitment, value)


def get_balance(ledger: Ledger, args: list[Any]) -> Any:
    key, commitment = params.pubkey(args[0]), _at(ledger, params.Config(args[1]))
    return with_context(ledger, commitment, ledger.balance(key, commitment))


def get_program_accounts(ledger: Ledger, args: list[Any]) -> Any:
    program, config = params.pubkey(args[0]), params.Config(args[1])
    filters, form, part = config.filters(), config.encoding(), config.data_slice()
    with_slot = config.get("withContext", params.flag, False)
    commitment = _at(ledger, config)
    found = []
    for key, account in ledger.program_accounts(program, commitment):
        data = account.data if filters else b""
        if all(fits(data) for fits in filters):
            found.append((key, account))
    value = _keyed_accounts(ledger, found, form, part)
    return with_context(ledger, commitment, value) if with_slot else value


def _keyed_accounts(ledger: Ledger, found: list[tuple[Pubkey, Account]], form: str, part: params.DataSlice | None) -> list[dict[str, Any]]:
    found.sort(key=lambda pair: bytes(pair[0]))
    return [{"account": encoding.account_json(key, account, form, ledger.decimals, part), "pubkey": str(key)} for key, account in found]


# ---- tokens


def _token_accounts(ledger: Ledger, args: list[Any], fits: Callable[[bytes, bytes], bool]) -> Any:
    wanted, config = bytes(params.pubkey(args[0])), params.Config(args[2])
    form, part, commitment = config.encoding(), config.data_slice(), _at(ledger, config)
    choice = args[1]
    if not isinstance(choice, dict) or len(choice) != 1 or next(iter(choice)) not in ("mint", "programId"):
        raise params.wrong_type(choice, "enum RpcTokenAccountsFilter")
    mint: bytes | None = None
    if "mint" in choice:
        key = params.pubkey(choice["mint"])
        found_mint = ledger.account(key, commitment)
        if found_mint is None or not encoding.is_mint(found_mint):
            raise invalid("Invalid param: could not find mint")
        mint, program = bytes(key), found_mint.owner
    else:
        program = params.pubkey(choice["programId"])
        if program not in (TOKEN_PROGRAM, TOKEN_2022_PROGRAM):
            raise invalid("Invalid param: unrecognized Token program id")
    found = []
    for key, account in ledger.program_accounts(program, commitment):
        data = account.data
        if fits(data, wanted) and (mint is None or data[:32] == mint) and encoding.is_token_account(account):
            found.append((key, account))
    return with_context(ledger, commitment, _keyed_accounts(ledger, found, form, part))


def get_token_accounts_by_owner(ledger: Ledger, args: list[Any]) -> Any:
    return _token_accounts(ledger, args, lambda data, owner: data[32:64] == owner)


def get_token_accounts_by_delegate(ledger: Ledger, args: list[Any]) -> Any:
    return _token_accounts(ledger, args, lambda data, delegate: data[72:108] == b"\1\0\0\0" + delegate)


def get_token_account_balance(ledger: Ledger, args: list[Any]) -> Any:
    key, commitment = params.pubkey(args[0]), _at(ledger, params.Config(args[1]))
    account = ledger.account(key, commitment)
    if account is None:
        raise invalid("Invalid param: could not find account")
    if not encoding.is_token_account(account):
        raise invalid("Invalid param: not a Token account")
    data = account.data
    decimals = ledger.decimals(Pubkey(data[:32]))
    if decimals is None:
        raise invalid("Invalid param: could not find mint")
    return with_context(ledger, commitment, encoding.token_amount(int.from_bytes(data[64:72], "little"), decimals))


def _mint_data(ledger: Ledger, key: Pubkey, commitment: Commitment) -> tuple[Account, bytes]:
    account = ledger.account(key, commitment)
    if account is None:
        raise invalid("Invalid param: could not find account")
    if not encoding.is_mint(account):
        raise invalid("Invalid param: not a Token mint")
    return account, account.data


def get_token_supply(ledger: Ledger, args: list[Any]) -> Any:
    key, commitment = params.pubkey(args[0]), _at(ledger, params.Config(args[1]))
    _, data = _mint_data(ledger, key, commitment)
    return with_context(ledger, commitment, encoding.token_amount(int.from_bytes(data[36:44], "little"), data[44]))


def get_token_largest_accounts(ledger: Ledger, args: list[Any]) -> Any:
    key, commitment = params.pubkey(args[0]), _at(ledger, params.Config(args[1]))
    mint, mint_data = _mint_data(ledger, key, commitment)
    held = []
    for address, account in ledger.program_accounts(mint.owner, commitment):
        data = account.data
        if data[:32] == bytes(key) and encoding.is_token_account(account):
            held.append((int.from_bytes(data[64:72], "little"), str(address)))
    held.sort(reverse=True)
    value = [{"address": address, **encoding.token_amount(amount, mint_data[44])} for amount, address in held[:20]]
    return with_context(ledger, commitment, value)


# ---- history


def get_signature_statuses(ledger: Ledger, args: list[Any]) -> Any:
    signatures = [params.signature(item) for item in params.items(args[0], MAX_STATUSES)]
    params.Config(args[1])
    return with_context(ledger, "processed", [_status_json(ledger, ledger.transaction(item)) for item in signatures])


def _status_json(ledger: Ledger, record: Record | None) -> dict[str, Any] | None:
    if record is None:
        return None
    level = _level(ledger, record)
    return {
        "confirmationStatus": level,
        "confirmations": None if level == "finalized" else ledger.slot - record.slot,
        "err": record.err,
        "slot": record.slot,
        "status": {"Ok": None} if record.err is None else {"Err": record.err},
    }


def get_signatures_for_address(ledger: Ledger, args: list[Any]) -> Any:
    address, config = params.pubkey(args[0]), params.Config(args[1])
    before = config.get("before", params.signature, None)
    until = config.get("until", params.signature, None)
    limit = config.get("limit", lambda value: params.unsigned(value, "usize"), MAX_SIGNATURES)
    if not 1 <= limit <= MAX_SIGNATURES:
        raise invalid(f"Invalid limit; max {MAX_SIGNATURES}")
    commitment = _confirmed(config)
    _check_context_slot(ledger, config, commitment)
    return [
        {
            "blockTime": record.unix_time,
            "confirmationStatus": _level(ledger, record),
            "err": record.err,
            "memo": transactions.memo(record),
            "signature": str(record.signature),
            "slot": record.slot,
        }
        for record in ledger.signatures_for(address, before=before, until=until, limit=limit, commitment=commitment)
    ]


def get_transaction(ledger: Ledger, args: list[Any]) -> Any:
    signature = params.signature(args[0])
    config = params.Config({"encoding": args[1]} if isinstance(args[1], str) else args[1])
    form = config.get("encoding", lambda value: params.choice(value, params.TRANSACTION_ENCODINGS), "json")
    max_version = config.get("maxSupportedTransactionVersion", lambda value: params.unsigned(value, "u8"), None)
    commitment = _confirmed(config)
    record = ledger.transaction(signature)
    if record is None or record.slot > ledger.slot_at(commitment):
        return None
    return transactions.transaction_json(record, form, max_version)


# ---- sending


def request_airdrop(ledger: Ledger, args: list[Any]) -> Any:
    key, lamports = params.pubkey(args[0]), params.unsigned(args[1])
    params.Config(args[2])
    try:
        return str(ledger.airdrop(key, lamports))
    except Rejected:
        raise RpcError(INTERNAL_ERROR, "Internal error") from None


def _decode_transaction(value: Any, form: str) -> VersionedTransaction:
    encoded = params.text(value)
    limit = _ENCODED_LIMIT[form]
    if len(encoded) > limit:
        bounds = f"max: encoded/raw {limit}/{MAX_TRANSACTION_BYTES}"
        raise invalid(f"{form} encoded {_TRANSACTION_TYPE} too large: {len(encoded)} bytes ({bounds})")
    raw = params.base58_bytes(encoded) if form == "base58" else params.base64_bytes(encoded)
    if len(raw) > MAX_TRANSACTION_BYTES:
        raise invalid(f"decoded {_TRANSACTION_TYPE} too large: {len(raw)} bytes (max: {MAX_TRANSACTION_BYTES} bytes)")
    try:
        transaction = VersionedTransaction.from_bytes(raw)
    except Exception as error:
        words = str(error)
        cause = "io error: failed to fill whole buffer" if words.startswith("Attempting to read") else words
        raise invalid(f"failed to deserialize {_TRANSACTION_TYPE}: {cause}") from None
    try:
        transaction.sanitize()
    except Exception as error:
        raise invalid(f"invalid transaction: {describe('SanitizeFailure')} ({error})") from None
    return transaction


def _transaction_form(config: params.Config) -> str:
    form = config.get("encoding", lambda value: params.choice(value, params.TRANSACTION_ENCODINGS), "base58")
    if form == "binary":
        return "base58"
    if form not in _ENCODED_LIMIT:
        raise invalid(f"unsupported encoding: {form}. Supported encodings: base58, base64")
    return form


def send_transaction(ledger: Ledger, args: list[Any]) -> Any:
    config = params.Config(args[1])
    transaction = _decode_transaction(args[0], _transaction_form(config))
    config.get("maxRetries", lambda value: params.unsigned(value, "usize"), 0)
    if not config.get("skipPreflight", params.flag, False):
        commitment = config.commitment("preflightCommitment")
        _check_context_slot(ledger, config, commitment)
        outcome = ledger.simulate(transaction, commitment)
        if outcome.err is not None:
            words = f"Transaction simulation failed: {describe(outcome.err)}"
            raise RpcError(PREFLIGHT_FAILURE, words, _simulation_json(outcome, balances=False))
    # A node forwards the transaction and answers with its signature; its fate is told by its status.
    with contextlib.suppress(Rejected):
        ledger.submit(transaction)
    return str(transaction.signatures[0])


def simulate_transaction(ledger: Ledger, args: list[Any]) -> Any:
    config = params.Config(args[1])
    transaction = _decode_transaction(args[0], _transaction_form(config))
    verify = config.get("sigVerify", params.flag, False)
    replace = config.get("replaceRecentBlockhash", params.flag, False)
    if verify and replace:
        raise invalid("sigVerify may not be used with replaceRecentBlockhash")
    commitment = _at(ledger, config)
    wanted = config.get("accounts", _wanted_accounts, None)
    if wanted is not None and len(wanted[1]) > len(transaction.message.account_keys):
        raise invalid(f"Too many accounts provided; max {len(transaction.message.account_keys)}")
    outcome = ledger.simulate(transaction, commitment, verify_signatures=verify, any_blockhash=replace)
    shown = _simulation_json(outcome, balances=outcome.err != "SignatureFailure")
    if wanted is not None:
        form, keys = wanted
        # Accounts of the transaction as it leaves them, empty where there is none; others as they are.
        after = {key: account or Account.default() for key, account in zip(outcome.keys, outcome.post, strict=True)}
        shown["accounts"] = [
            None
            if outcome.err is not None
            else _optional_account(ledger, key, after.get(key) or ledger.account(key, commitment), form, None)
            for key in keys
        ]
    if config.get("innerInstructions", params.flag, False):
        shown["innerInstructions"] = transactions.inner_instructions_json(outcome.metadata, outcome.keys, "jsonParsed")
    shown["loadedAddresses"] = transactions.loaded_addresses_json(outcome.keys, outcome.loaded_writable, outcome.loaded_readonly)
    if replace:
        shown["replacementBlockhash"] = _blockhash_json(ledger, commitment)
    return with_context(ledger, commitment, shown)


def _wanted_accounts(value: Any) -> tuple[str, list[Pubkey]]:
    config = params.Config(value)
    form = config.encoding("base64")
    if form in ("binary", "base58"):
        raise invalid("base58 encoding not supported")
    return form, [params.pubkey(item) for item in params.items(config.values.get("addresses"))]


def _simulation_json(outcome: Outcome, *, balances: bool) -> dict[str, Any]:
    return {
        "accounts": None,
        "err": outcome.err,
        "fee": outcome.fee,
        "innerInstructions": None,
        "loadedAccountsDataSize": outcome.loaded_bytes,
        "loadedAddresses": None,
        "logs": outcome.logs,
        "postBalances": [_lamports(account) for account in outcome.post] if balances else None,
        "postTokenBalances": transactions.token_balances_json(outcome.post_tokens, zero_is_null=False) if balances else None,
        "preBalances": [_lamports(account) for account in outcome.pre] if balances else None,
        "preTokenBalances": transactions.token_balances_json(outcome.pre_tokens, zero_is_null=False) if balances else None,
        "replacementBlockhash": None,
        "returnData": transactions.return_data_json(outcome.metadata),
        "unitsConsumed": outcome.units,
    }


def _lamports(account: Account | None) -> int:
    return 0 if account is None else account.lamports


METHODS: Final[dict[str, Method]] = {
    "getAccountInfo": Method(get_account_info, 1, 2),
    "getBalance": Method(get_balance, 1, 2),
    "getBlock": Method(cluster.get_block, 1, 2),
    "getBlockCommitment": Method(cluster.get_block_commitment, 1, 1),
    "getBlockHeight": Method(get_slot, 0, 1),
    "getBlockProduction": Method(cluster.get_block_production, 0, 1),
    "getBlockTime": Method(get_block_time, 1, 1),
    "getBlocks": Method(cluster.get_blocks, 1, 3),
    "getBlocksWithLimit": Method(cluster.get_blocks_with_limit, 2, 3),
    "getClusterNodes": Method(cluster.get_cluster_nodes, 0, 0),
    "getEpochInfo": Method(get_epoch_info, 0, 1),
    "getEpochSchedule": Method(get_epoch_schedule, 0, 0),
    "getFeeForMessage": Method(get_fee_for_message, 1, 2),
    "getFirstAvailableBlock": Method(get_first_slot, 0, 0),
    "getGenesisHash": Method(get_genesis_hash, 0, 0),
    "getHealth": Method(get_health, 0, 0),
    "getHighestSnapshotSlot": Method(get_highest_snapshot_slot, 0, 0),
    "getIdentity": Method(get_identity, 0, 0),
    "getInflationGovernor": Method(cluster.get_inflation_governor, 0, 1),
    "getInflationRate": Method(cluster.get_inflation_rate, 0, 0),
    "getInflationReward": Method(cluster.get_inflation_reward, 1, 2),
    "getLargestAccounts": Method(cluster.get_largest_accounts, 0, 1),
    "getLatestBlockhash": Method(get_latest_blockhash, 0, 1),
    "getLeaderSchedule": Method(cluster.get_leader_schedule, 0, 2),
    "getMaxRetransmitSlot": Method(cluster.get_current_slot, 0, 0),
    "getMaxShredInsertSlot": Method(cluster.get_current_slot, 0, 0),
    "getMinimumBalanceForRentExemption": Method(get_minimum_balance, 1, 2),
    "getMultipleAccounts": Method(get_multiple_accounts, 1, 2),
    "getProgramAccounts": Method(get_program_accounts, 1, 2),
    "getRecentPerformanceSamples": Method(cluster.get_recent_performance_samples, 0, 1),
    "getRecentPrioritizationFees": Method(get_prioritization_fees, 0, 1),
    "getSignatureStatuses": Method(get_signature_statuses, 1, 2),
    "getSignaturesForAddress": Method(get_signatures_for_address, 1, 2),
    "getSlot": Method(get_slot, 0, 1),
    "getSlotLeader": Method(get_slot_leader, 0, 1),
    "getSlotLeaders": Method(cluster.get_slot_leaders, 2, 2),
    "getStakeMinimumDelegation": Method(cluster.get_stake_minimum_delegation, 0, 1),
    "getSupply": Method(get_supply, 0, 1),
    "getTokenAccountBalance": Method(get_token_account_balance, 1, 2),
    "getTokenAccountsByDelegate": Method(get_token_accounts_by_delegate, 2, 3),
    "getTokenAccountsByOwner": Method(get_token_accounts_by_owner, 2, 3),
    "getTokenLargestAccounts": Method(get_token_largest_accounts, 1, 2),
    "getTokenSupply": Method(get_token_supply, 1, 2),
    "getTransaction": Method(get_transaction, 1, 2),
    "getTransactionCount": Method(get_transaction_count, 0, 1),
    "getVersion": Method(get_version, 0, 0),
    "getVoteAccounts": Method(cluster.get_vote_accounts, 0, 1),
    "isBlockhashValid": Method(is_blockhash_valid, 1, 2),
    "minimumLedgerSlot": Method(get_first_slot, 0, 0),
    "requestAirdrop": Method(request_airdrop, 2, 3),
    "sendTransaction": Method(send_transaction, 1, 2),
    "simulateTransaction": Method(simulate_transaction, 1, 2),
}
