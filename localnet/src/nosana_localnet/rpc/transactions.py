"""Transactions as JSON: what getTransaction and simulateTransaction show."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import math
from collections.abc import Callable
from typing import Any, Final

from solders.instruction import CompiledInstruction
from solders.message import MessageV0
from solders.pubkey import Pubkey
from solders.transaction import VersionedTransaction
from solders.transaction_metadata import TransactionMetadata

from .. import base58
from ..ledger import ASSOCIATED_TOKEN_PROGRAM, SYSTEM_PROGRAM, TOKEN_2022_PROGRAM, TOKEN_PROGRAM, Record, TokenBalance
from .encoding import token_amount
from .errors import UNSUPPORTED_TRANSACTION_VERSION, RpcError

_MEMO_PROGRAMS: Final = (
    Pubkey.from_string("Memo1UhkJRfHyvLMcVucJwxXeuD728EqVDDwQDxFMNo"),
    Pubkey.from_string("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr"),
)
# A node's cost model: what a transaction takes of a block besides its compute units.
_SIGNATURE_COST: Final = 720
_WRITE_LOCK_COST: Final = 300
_INSTRUCTION_BYTES_PER_UNIT: Final = 4
_PAGE_BYTES: Final = 32 * 1024
_PAGE_COST: Final = 8


def transaction_json(record: Record, encoding: str, max_version: int | None) -> dict[str, Any]:
    """A transaction as getTransaction shows it. RpcError where the caller does not take its version."""
    version = _version(record.transaction)
    if version != "legacy" and (max_version is None or int(version) > max_version):
        raise RpcError(
            UNSUPPORTED_TRANSACTION_VERSION,
            f"Transaction version ({version}) is not supported by the requesting client. Please try the request again with"
            f' the following configuration parameter: "maxSupportedTransactionVersion": {version}',
        )
    shown = {
        "blockTime": record.unix_time,
        "meta": _meta(record, encoding),
        "slot": record.slot,
        "transaction": _body(record, encoding),
    }
    if max_version is not None:
        shown["version"] = version
    return shown


def token_balances_json(balances: list[TokenBalance], *, zero_is_null: bool) -> list[dict[str, Any]]:
    """Nothing is shown as null where a node has stored the transaction, and as 0.0 where it has only simulated it."""
    return [
        {
            "accountIndex": balance.index,
            "mint": str(balance.mint),
            "owner": str(balance.owner),
            "programId": str(balance.program),
            "uiTokenAmount": token_amount(balance.base_units, balance.decimals, zero_is_null=zero_is_null),
        }
        for balance in balances
    ]


def loaded_addresses_json(keys: list[Pubkey], writable: int, readonly: int) -> dict[str, list[str]]:
    static = len(keys) - writable - readonly
    return {"readonly": [str(key) for key in keys[static + writable :]], "writable": [str(key) for key in keys[static : static + writable]]}


def return_data_json(metadata: TransactionMetadata) -> dict[str, Any] | None:
    returned = metadata.return_data()
    data = bytes(returned.data)
    if not data:
        return None
    return {"data": [base64.b64encode(data).decode(), "base64"], "programId": str(returned.program_id)}


def inner_instructions_json(metadata: TransactionMetadata, keys: list[Pubkey], encoding: str) -> list[dict[str, Any]]:
    return [
        {"index": index, "instructions": [_instruction(item.instruction(), item.stack_height(), keys, encoding) for item in items]}
        for index, items in enumerate(metadata.inner_instructions())
        if items
    ]


def memo(record: Record) -> str | None:
    """The memos of a transaction in the form of getSignaturesForAddress: ``[length] text``."""
    memos = []
    for instruction in record.transaction.message.instructions:
        if record.keys[instruction.program_id_index] in _MEMO_PROGRAMS:
            data = bytes(instruction.data)
            memos.append(f"[{len(data)}] {data.decode('utf-8', 'replace')}")
    return "; ".join(memos) or None


def _version(transaction: VersionedTransaction) -> str | int:
    version = transaction.version()
    return version if isinstance(version, int) else "legacy"


def _meta(record: Record, encoding: str) -> dict[str, Any]:
    meta: dict[str, Any] = {
        "computeUnitsConsumed": record.units,
        "costUnits": _cost(record),
        "err": record.err,
        "fee": record.fee,
        "innerInstructions": inner_instructions_json(record.metadata, record.keys, encoding),
        "logMessages": record.logs,
        "postBalances": list(record.post_lamports),
        "postTokenBalances": token_balances_json(record.post_tokens, zero_is_null=True),
        "preBalances": list(record.pre_lamports),
        "preTokenBalances": token_balances_json(record.pre_tokens, zero_is_null=True),
        "rewards": [],
        "status": {"Ok": None} if record.err is None else {"Err": record.err},
    }
    if encoding != "jsonParsed":
        meta["loadedAddresses"] = loaded_addresses_json(record.keys, record.loaded_writable, record.loaded_readonly)
    returned = return_data_json(record.metadata)
    if returned is not None:
        meta["returnData"] = returned
    return meta


def _cost(record: Record) -> int:
    message = record.transaction.message
    data = sum(len(instruction.data) for instruction in message.instructions)
    locks = sum(_writable(record.transaction, index) for index in range(len(message.account_keys))) + record.loaded_writable
    return (
        record.units
        + _SIGNATURE_COST * len(record.transaction.signatures)
        + _WRITE_LOCK_COST * locks
        + data // _INSTRUCTION_BYTES_PER_UNIT
        + _PAGE_COST * math.ceil(record.loaded_bytes / _PAGE_BYTES)
    )


def _body(record: Record, encoding: str) -> Any:
    transaction = record.transaction
    if encoding == "base64":
        return [base64.b64encode(bytes(transaction)).decode(), "base64"]
    if encoding == "base58":
        return [base58.encode(bytes(transaction)), "base58"]
    if encoding == "binary":
        return base58.encode(bytes(transaction))
    message = transaction.message
    shown: dict[str, Any] = {
        "instructions": [_instruction(instruction, 1, record.keys, encoding) for instruction in message.instructions],
        "recentBlockhash": str(message.recent_blockhash),
    }
    if encoding == "jsonParsed":
        shown["accountKeys"] = _parsed_keys(record)
    else:
        header = message.header
        shown["accountKeys"] = [str(key) for key in message.account_keys]
        shown["header"] = {
            "numReadonlySignedAccounts": header.num_readonly_signed_accounts,
            "numReadonlyUnsignedAccounts": header.num_readonly_unsigned_accounts,
            "numRequiredSignatures": header.num_required_signatures,
        }
    if isinstance(message, MessageV0):
        shown["addressTableLookups"] = [
            {
                "accountKey": str(lookup.account_key),
                "readonlyIndexes": list(lookup.readonly_indexes),
                "writableIndexes": list(lookup.writable_indexes),
            }
            for lookup in message.address_table_lookups
        ]
    return {"message": dict(sorted(shown.items())), "signatures": [str(signature) for signature in transaction.signatures]}


def _parsed_keys(record: Record) -> list[dict[str, Any]]:
    message = record.transaction.message
    static = len(message.account_keys)
    return [
        {
            "pubkey": str(key),
            "signer": index < message.header.num_required_signatures,
            "source": "transaction" if index < static else "lookupTable",
            "writable": _writable(record.transaction, index) if index < static else index < static + record.loaded_writable,
        }
        for index, key in enumerate(record.keys)
    ]


def _instruction(instruction: CompiledInstruction, stack_height: int | None, keys: list[Pubkey], encoding: str) -> dict[str, Any]:
    data = bytes(instruction.data)
    accounts = list(bytes(instruction.accounts))
    if encoding != "jsonParsed":
        index = instruction.program_id_index
        return {"accounts": accounts, "data": base58.encode(data), "programIdIndex": index, "stackHeight": stack_height}
    program = keys[instruction.program_id_index]
    named = [str(keys[index]) for index in accounts]
    parsed = _parse(program, named, data)
    if parsed is None:
        return {"accounts": named, "data": base58.encode(data), "programId": str(program), "stackHeight": stack_height}
    return {"parsed": parsed[1], "program": parsed[0], "programId": str(program), "stackHeight": stack_height}


def _parse(program: Pubkey, accounts: list[str], data: bytes) -> tuple[str, Any] | None:
    """The instructions that wallets and tests look at, by name. None: shown as it is."""
    if program in _MEMO_PROGRAMS:
        return "spl-memo", data.decode("utf-8", "replace")
    if program == SYSTEM_PROGRAM:
        return _parse_system(accounts, data)
    if program in (TOKEN_PROGRAM, TOKEN_2022_PROGRAM):
        return _parse_token("spl-token" if program == TOKEN_PROGRAM else "spl-token-2022", accounts, data)
    if program == ASSOCIATED_TOKEN_PROGRAM and data[:1] in (b"", b"\0", b"\1") and len(accounts) >= 6:
        names = ("source", "account", "wallet", "mint", "systemProgram", "tokenProgram")
        kind = "createIdempotent" if data[:1] == b"\1" else "create"
        return "spl-associated-token-account", {"info": dict(zip(names, accounts, strict=False)), "type": kind}
    return None


def _parse_system(accounts: list[str], data: bytes) -> tuple[str, Any] | None:
    kind = int.from_bytes(data[:4], "little")
    if kind == 2 and len(data) == 12 and len(accounts) >= 2:
        info: dict[str, Any] = {"destination": accounts[1], "lamports": int.from_bytes(data[4:12], "little"), "source": accounts[0]}
        return "system", {"info": info, "type": "transfer"}
    if kind == 0 and len(data) == 52 and len(accounts) >= 2:
        info = {
            "lamports": int.from_bytes(data[4:12], "little"),
            "newAccount": accounts[1],
            "owner": str(Pubkey(data[20:52])),
            "source": accounts[0],
            "space": int.from_bytes(data[12:20], "little"),
        }
        return "system", {"info": info, "type": "createAccount"}
    if kind == 1 and len(data) == 36 and len(accounts) >= 1:
        return "system", {"info": {"account": accounts[0], "owner": str(Pubkey(data[4:36]))}, "type": "assign"}
    if kind == 8 and len(data) == 12 and len(accounts) >= 1:
        return "system", {"info": {"account": accounts[0], "space": int.from_bytes(data[4:12], "little")}, "type": "allocate"}
    return None


# Instructions of the token program by their first byte: name, accounts in their order, and what stands in the data: a number of tokens,
# one with the decimal places that it is checked against, or something that `_TOKEN_DATA` reads. With more signers than one they stay as they are.
_TOKEN_INSTRUCTIONS: Final = {
    0: ("initializeMint", "mint rentSysvar", "new mint"),
    1: ("initializeAccount", "account mint owner rentSysvar", ""),
    3: ("transfer", "source destination authority", "amount"),
    4: ("approve", "source delegate owner", "amount"),
    5: ("revoke", "source owner", ""),
    6: ("setAuthority", "_owned authority", "authority"),
    7: ("mintTo", "mint account mintAuthority", "amount"),
    8: ("burn", "account mint authority", "amount"),
    9: ("closeAccount", "account destination owner", ""),
    10: ("freezeAccount", "account mint freezeAuthority", ""),
    11: ("thawAccount", "account mint freezeAuthority", ""),
    12: ("transferChecked", "source mint destination authority", "checked amount"),
    13: ("approveChecked", "source mint delegate owner", "checked amount"),
    14: ("mintToChecked", "mint account mintAuthority", "checked amount"),
    15: ("burnChecked", "account mint authority", "checked amount"),
    16: ("initializeAccount2", "account mint rentSysvar", "owner"),
    17: ("syncNative", "account", ""),
    18: ("initializeAccount3", "account mint", "owner"),
    20: ("initializeMint2", "mint", "new mint"),
    21: ("getAccountDataSize", "mint", "extensions"),
    22: ("initializeImmutableOwner", "account", ""),
}
_AUTHORITIES: Final = ("mintTokens", "freezeAccount", "accountOwner", "closeAccount")
_EXTENSIONS: Final = {7: "immutableOwner"}


def _parse_token(program: str, accounts: list[str], data: bytes) -> tuple[str, Any] | None:
    name, words, kind = _TOKEN_INSTRUCTIONS.get(data[0] if data else -1, ("", "", ""))
    names = words.split()
    if not name or len(accounts) != len(names):
        return None
    try:
        info = dict(zip(names, accounts, strict=True)) | _TOKEN_DATA[kind](data[1:])
    except (ValueError, IndexError, KeyError):
        return None
    if "_owned" in info:
        info["mint" if info["authorityType"] in _AUTHORITIES[:2] else "account"] = info.pop("_owned")
    return program, {"info": dict(sorted(info.items())), "type": name}


def _u64(data: bytes) -> int:
    return int.from_bytes(_exactly(8, data), "little")


def _key(data: bytes) -> str:
    return str(Pubkey(_exactly(32, data)))


def _optional_key(data: bytes) -> str | None:
    return _key(data[1:]) if data[0] else None


def _exactly(size: int, data: bytes) -> bytes:
    """The first bytes; ValueError when there are fewer."""
    if len(data) < size:
        raise ValueError("the data is too short")
    return data[:size]


def _new_mint(data: bytes) -> dict[str, Any]:
    freeze = _optional_key(data[33:])
    return {"decimals": data[0], "mintAuthority": _key(data[1:])} | ({"freezeAuthority": freeze} if freeze else {})


def _extensions(data: bytes) -> dict[str, Any]:
    kinds = [int.from_bytes(data[at : at + 2], "little") for at in range(0, len(data), 2)]
    return {"extensionTypes": [_EXTENSIONS[kind] for kind in kinds]} if kinds else {}


_TOKEN_DATA: Final[dict[str, Callable[[bytes], dict[str, Any]]]] = {
    "": lambda data: {},
    "amount": lambda data: {"amount": str(_u64(data))},
    "checked amount": lambda data: {"tokenAmount": token_amount(_u64(data), data[8])},
    "owner": lambda data: {"owner": _key(data)},
    "new mint": _new_mint,
    "authority": lambda data: {"authorityType": _AUTHORITIES[data[0]], "newAuthority": _optional_key(data[1:])},
    "extensions": _extensions,
}


def _writable(transaction: VersionedTransaction, index: int) -> bool:
    """Whether the header of a message lets an account be written."""
    header = transaction.message.header
    signers = header.num_required_signatures
    if index < signers:
        return index < signers - header.num_readonly_signed_accounts
    return index < len(transaction.message.account_keys) - header.num_readonly_unsigned_accounts
