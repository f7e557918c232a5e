"""Accounts as JSON: base58, base64, base64+zstd and jsonParsed, with data slices."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import struct
from collections.abc import Callable
from typing import Any, Final

from solders.account import Account
from solders.pubkey import Pubkey

from .. import base58
from ..ledger import MINT_BYTES, TOKEN_2022_PROGRAM, TOKEN_ACCOUNT_BYTES, TOKEN_PROGRAM, U64_MAX
from .errors import INVALID_REQUEST, RpcError
from .params import DataSlice

MAX_BASE58_BYTES: Final = 128
_SYSVAR_OWNER: Final = Pubkey.from_string("Sysvar1111111111111111111111111111111111111")
_NATIVE_LOADER: Final = Pubkey.from_string("NativeLoader1111111111111111111111111111111")
_CLOCK: Final = Pubkey.from_string("SysvarC1ock11111111111111111111111111111111")
_RENT: Final = Pubkey.from_string("SysvarRent111111111111111111111111111111111")
_ZSTD_BLOCK_BYTES: Final = 128 * 1024

Decimals = Callable[[Pubkey], int | None]
"""Decimal places of a token mint, None where there is none."""


def account_json(key: Pubkey, account: Account, encoding: str, decimals: Decimals, part: DataSlice | None = None) -> dict[str, Any]:
    """An account as getAccountInfo shows it. RpcError where base58 is asked for more than 128 bytes."""
    data = account.data
    shown: Any
    if encoding == "jsonParsed":
        shown = _parsed(key, account, data, decimals) or [base64.b64encode(_part(data, part)).decode(), "base64"]
    elif encoding == "base64":
        shown = [base64.b64encode(_part(data, part)).decode(), "base64"]
    elif encoding == "base64+zstd":
        shown = [base64.b64encode(zstd_frame(_part(data, part))).decode(), "base64+zstd"]
    else:
        wanted = _part(data, part)
        if len(wanted) > MAX_BASE58_BYTES:
            words = f"Encoded binary (base 58) data should be less than {MAX_BASE58_BYTES} bytes, please use Base64 encoding."
            raise RpcError(INVALID_REQUEST, words)
        shown = base58.encode(wanted) if encoding == "binary" else [base58.encode(wanted), "base58"]
    return {
        "data": shown,
        "executable": account.executable,
        "lamports": account.lamports,
        "owner": str(account.owner),
        "rentEpoch": 0 if account.owner in (_SYSVAR_OWNER, _NATIVE_LOADER) else U64_MAX,
        "space": len(data),
    }


def _part(data: bytes, part: DataSlice | None) -> bytes:
    return data if part is None else part.of(data)


def token_amount(base_units: int, decimals: int, *, zero_is_null: bool = False) -> dict[str, Any]:
    """An amount of tokens in the four forms in which RPC gives it."""
    digits = str(base_units).zfill(decimals + 1)
    exact = f"{digits[:-decimals]}.{digits[-decimals:]}".rstrip("0").rstrip(".") if decimals else digits
    ui_amount = None if zero_is_null and base_units == 0 else base_units / 10**decimals
    return {"amount": str(base_units), "decimals": decimals, "uiAmount": ui_amount, "uiAmountString": exact}


def is_token_account(account: Account) -> bool:
    """Whether an account is an initialised token account. One with extensions names its kind behind the first 165 bytes."""
    if account.owner not in (TOKEN_PROGRAM, TOKEN_2022_PROGRAM):
        return False
    data = account.data
    return len(data) >= TOKEN_ACCOUNT_BYTES and data[108] != 0 and (len(data) == TOKEN_ACCOUNT_BYTES or data[165] == 2)


def is_mint(account: Account) -> bool:
    if account.owner not in (TOKEN_PROGRAM, TOKEN_2022_PROGRAM):
        return False
    data = account.data
    return len(data) >= MINT_BYTES and data[45] == 1 and (len(data) == MINT_BYTES or (len(data) > 165 and data[165] == 1))


def _parsed(key: Pubkey, account: Account, data: bytes, decimals: Decimals) -> dict[str, Any] | None:
    if account.owner in (TOKEN_PROGRAM, TOKEN_2022_PROGRAM):
        program = "spl-token" if account.owner == TOKEN_PROGRAM else "spl-token-2022"
        if is_token_account(account):
            places = decimals(Pubkey(data[:32]))
            if places is not None:
                parsed = {"info": _token_account(data, places), "type": "account"}
                return {"parsed": parsed, "program": program, "space": len(data)}
        elif is_mint(account):
            return {"parsed": {"info": _mint(data), "type": "mint"}, "program": program, "space": len(data)}
    if key == _CLOCK and len(data) == 40:
        slot, started, epoch, leader_epoch, unix = struct.unpack("<QqQQq", data)
        clock = {"epoch": epoch, "epochStartTimestamp": started, "leaderScheduleEpoch": leader_epoch, "slot": slot, "unixTimestamp": unix}
        return {"parsed": {"info": clock, "type": "clock"}, "program": "sysvar", "space": len(data)}
    if key == _RENT and len(data) == 17:
        per_byte, threshold, burn = struct.unpack("<QdB", data)
        rent = {"burnPercent": burn, "exemptionThreshold": threshold, "lamportsPerByteYear": str(per_byte)}
        return {"parsed": {"info": rent, "type": "rent"}, "program": "sysvar", "space": len(data)}
    return None


def _optional_key(data: bytes, at: int) -> str | None:
    return str(Pubkey(data[at + 4 : at + 36])) if data[at : at + 4] == b"\1\0\0\0" else None


def _token_account(data: bytes, decimals: int) -> dict[str, Any]:
    delegate, close_authority = _optional_key(data, 72), _optional_key(data, 129)
    native = data[109:113] == b"\1\0\0\0"
    info: dict[str, Any] = {
        "isNative": native,
        "mint": str(Pubkey(data[:32])),
        "owner": str(Pubkey(data[32:64])),
        "state": {1: "initialized", 2: "frozen"}.get(data[108], "uninitialized"),
        "tokenAmount": token_amount(int.from_bytes(data[64:72], "little"), decimals),
    }
    if delegate is not None:
        info["delegate"] = delegate
        info["delegatedAmount"] = token_amount(int.from_bytes(data[121:129], "little"), decimals)
    if close_authority is not None:
        info["closeAuthority"] = close_authority
    if native:
        info["rentExemptReserve"] = token_amount(int.from_bytes(data[113:121], "little"), decimals)
    return info


def _mint(data: bytes) -> dict[str, Any]:
    return {
        "decimals": data[44],
        "freezeAuthority": _optional_key(data, 46),
        "isInitialized": True,
        "mintAuthority": _optional_key(data, 0),
        "supply": str(int.from_bytes(data[36:44], "little")),
    }


def zstd_frame(data: bytes) -> bytes:
    """Data as a Zstandard frame (RFC 8878) of stored blocks: any decoder reads it, and no library is needed to write it.

    A block of one repeated byte, such as an empty queue, is stored as that byte.
    """
    header = b"\x28\xb5\x2f\xfd" + b"\xe0" + len(data).to_bytes(8, "little")
    if not data:
        return header + b"\x01\x00\x00"
    frame = bytearray(header)
    for start in range(0, len(data), _ZSTD_BLOCK_BYTES):
        block = data[start : start + _ZSTD_BLOCK_BYTES]
        last = int(start + _ZSTD_BLOCK_BYTES >= len(data))
        repeated = block.count(block[0]) == len(block)
        frame += (last | (int(repeated) << 1) | (len(block) << 3)).to_bytes(3, "little")
        frame += block[:1] if repeated else block
    return bytes(frame)
