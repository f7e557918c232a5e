"""Transactions in words, for the page: instructions with arguments and account names, what went wrong, and text made safe to show."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import re
import struct
from collections.abc import Sequence
from typing import Any, Final

from solders.pubkey import Pubkey

from . import idl
from .genesis import DEVNET_JOBS_PROGRAM, JOBS_PROGRAM
from .ipfs import bytes_to_cid
from .ledger import ASSOCIATED_TOKEN_PROGRAM, COMPUTE_BUDGET_PROGRAM, SYSTEM_PROGRAM, TOKEN_2022_PROGRAM, TOKEN_PROGRAM, Record

PROGRAMS: Final = {
    JOBS_PROGRAM: "nosana jobs",
    DEVNET_JOBS_PROGRAM: "nosana jobs (devnet)",
    SYSTEM_PROGRAM: "system",
    TOKEN_PROGRAM: "token",
    TOKEN_2022_PROGRAM: "token 2022",
    ASSOCIATED_TOKEN_PROGRAM: "associated token",
    COMPUTE_BUDGET_PROGRAM: "compute budget",
}
MAX_INSTRUCTIONS: Final = 16
MAX_ACCOUNTS: Final = 32
MAX_LOG_LINES: Final = 60
MAX_LINE_CHARACTERS: Final = 300

# What would move the cursor, hide text, or turn its direction: terminal sequences, control characters, bidirectional overrides.
_SEQUENCE: Final = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[ -/]*[0-~]?")
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff]")
_MESSAGE: Final = re.compile(r"Error Code: (\w+)\. Error Number: \d+\. Error Message: (.*)")

# Other programs' commonest instructions: name and the layout of their arguments.
_Known = tuple[str, str, tuple[str, ...]]
_SYSTEM: Final[dict[int, _Known]] = {0: ("create_account", "<QQ", ("lamports", "space")), 2: ("transfer", "<Q", ("lamports",))}
_TOKEN: Final[dict[int, _Known]] = {
    3: ("transfer", "<Q", ("amount",)),
    7: ("mint_to", "<Q", ("amount",)),
    9: ("close_account", "<", ()),
    12: ("transfer_checked", "<QB", ("amount", "decimals")),
    18: ("initialize_account", "<", ()),
}
_ASSOCIATED: Final[dict[int, _Known]] = {0: ("create", "<", ()), 1: ("create_idempotent", "<", ())}
_BUDGET: Final[dict[int, _Known]] = {
    2: ("set_compute_unit_limit", "<I", ("units",)),
    3: ("set_compute_unit_price", "<Q", ("micro_lamports",)),
}
_NAMES: Final[dict[Pubkey, tuple[int, dict[int, _Known]]]] = {
    SYSTEM_PROGRAM: (4, _SYSTEM),
    TOKEN_PROGRAM: (1, _TOKEN),
    TOKEN_2022_PROGRAM: (1, _TOKEN),
    ASSOCIATED_TOKEN_PROGRAM: (1, _ASSOCIATED),
    COMPUTE_BUDGET_PROGRAM: (1, _BUDGET),
}


def plain(text: Any, limit: int = MAX_LINE_CHARACTERS) -> str:
    """Somebody else's text as one bounded line: no terminal sequences, no control characters; what a carriage return wrote over is gone."""
    if not isinstance(text, str):
        return ""
    line = _SEQUENCE.sub("", text[: limit * 4]).rstrip("\r\n").rpartition("\r")[2]
    line = _CONTROL.sub("", line.replace("\t", "    ").replace("\n", " "))
    return line if len(line) <= limit else line[: limit - 1] + "…"


def transaction(record: Record) -> dict[str, Any]:
    """All that the page shows of a transaction."""
    message = record.transaction.message
    instructions = []
    for compiled in message.instructions[:MAX_INSTRUCTIONS]:
        keys = [record.keys[index] for index in compiled.accounts[:MAX_ACCOUNTS] if index < len(record.keys)]
        instructions.append(instruction(record.keys[compiled.program_id_index], bytes(compiled.data), keys))
    return {
        "signature": str(record.signature),
        "slot": record.slot,
        "time": record.unix_time,
        "payer": str(record.keys[0]),
        "fee": record.fee,
        "units": record.units,
        "error": None if record.err is None else error(record.err, record.logs),
        "instructions": instructions,
        "logs": [plain(line) for line in record.logs[-MAX_LOG_LINES:]],
    }


def instruction(program: Pubkey, data: bytes, accounts: Sequence[Pubkey]) -> dict[str, Any]:
    """One instruction: by the IDL where it is the jobs program's, by a short table for the programs that everybody uses."""
    name, args, named = "unknown", {}, [("", key) for key in accounts]
    if program in (JOBS_PROGRAM, DEVNET_JOBS_PROGRAM):
        try:
            decoded = idl.decode_instruction(data, accounts)
        except ValueError:
            pass
        else:
            name, named = decoded.name, decoded.accounts
            args = {key: _value(value) for key, value in decoded.args.items()}
    else:
        name, args = _common(program, data)
    return {
        "program": PROGRAMS.get(program, "unknown program"),
        "program_address": str(program),
        "name": name,
        "args": args,
        "accounts": [[label, str(key)] for label, key in named],
    }


def error(err: Any, logs: Sequence[str]) -> str:
    """Why a transaction failed: the program's own words where it has some, otherwise the runtime's."""
    for line in logs:
        found = _MESSAGE.search(line)
        if found:
            return plain(f"{found[1]}: {found[2].rstrip('.')}.")
    if isinstance(err, dict) and isinstance(err.get("InstructionError"), list):
        cause = err["InstructionError"][-1]
        code = cause.get("Custom") if isinstance(cause, dict) else None
        return (idl.error_text(code) if isinstance(code, int) else None) or plain(json.dumps(cause).strip('"'))
    return plain(json.dumps(err).strip('"'))


def _value(value: Any) -> str:
    """Numbers as text, since a browser's numbers end at 2^53; hashes as the content identifiers that they stand for."""
    return bytes_to_cid(value) if isinstance(value, bytes) else str(value)


def _common(program: Pubkey, data: bytes) -> tuple[str, dict[str, str]]:
    size, names = _NAMES.get(program, (0, {}))
    if program == ASSOCIATED_TOKEN_PROGRAM and not data:
        data = b"\0"
    if size == 0 or len(data) < size:
        return "unknown", {}
    tag = int.from_bytes(data[:size], "little")
    name, layout, fields = names.get(tag, (f"instruction {tag}", "<", ()))
    if len(data) < size + struct.calcsize(layout):
        return name, {}
    return name, dict(zip(fields, map(str, struct.unpack_from(layout, data, size)), strict=True))
