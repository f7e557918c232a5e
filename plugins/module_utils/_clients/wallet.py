"""The wallet: reads a Solana key in the three forms in which people have it, and never shows any of it."""
# Copyright (c) 2026, The nosana.compute contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection and may change without notice.

from __future__ import annotations

import json
import os
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .._libraries import solders
from .base58 import b58decode
from .errors import InvalidWallet

if TYPE_CHECKING:
    from solders.keypair import Keypair

_MAX_FILE_BYTES = 4096


@dataclass
class Wallet:
    """A key pair, and what should be said about where it came from."""

    keypair: Keypair = field(repr=False)
    warnings: list[str] = field(default_factory=list)

    @property
    def address(self) -> str:
        """The public key in base58."""
        return str(self.keypair.pubkey())


def load_wallet(value: str) -> Wallet:
    """From the path of a key file, a base58 secret key, or a JSON array of 64 numbers; InvalidWallet says which part is wrong."""
    text, where = value.strip(), "wallet"
    warnings: list[str] = []
    if not text:
        raise InvalidWallet("wallet is empty: give a key file, a base58 secret key or a JSON array of 64 numbers.")
    path = os.path.expanduser(text)
    if os.path.exists(path) or (not text.startswith("[") and ("/" in text or text.endswith(".json"))):
        # Only the file's own name is said: the option is kept out of logs as a whole, and a path in it would be masked. What names no
        # file may be a key in a form that we do not read, so nothing of it is said.
        where = f"wallet file {os.path.basename(path)}" if os.path.exists(path) else "wallet file"
        text, warnings = _read(path, where)
    if text.startswith("["):
        secret = _from_array(text, where)
    else:
        try:
            secret = b58decode(text)
        except ValueError:
            raise InvalidWallet(f"The {where} is neither an existing file, nor base58, nor a JSON array of 64 numbers.") from None
    if len(secret) != 64:
        raise InvalidWallet(f"The {where} holds {len(secret)} bytes, and a Solana secret key has 64.")
    try:
        return Wallet(solders.keypair.Keypair.from_bytes(secret), warnings)
    except ValueError:
        raise InvalidWallet(f"The {where} is no Solana key: its public half does not belong to its secret half.") from None


def _read(path: str, where: str) -> tuple[str, list[str]]:
    try:
        with open(path, encoding="utf-8") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            text = file.read(_MAX_FILE_BYTES + 1).strip()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no text"
        raise InvalidWallet(f"The {where} cannot be read ({reason}); check wallet or NOSANA_WALLET.") from None
    if len(text) > _MAX_FILE_BYTES:
        raise InvalidWallet(f"The {where} is too large for a Solana key file.")
    warnings = []
    if mode & 0o077:
        warnings.append(f"The {where} can be read by others (mode {mode:04o}); run chmod 600 on it.")
    return text, warnings


def _from_array(text: str, where: str) -> bytes:
    try:
        numbers = json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidWallet(f"The {where} starts like a JSON array and is none.") from None
    if len(numbers) != 64 or not all(isinstance(number, int) and not isinstance(number, bool) and 0 <= number <= 255 for number in numbers):
        raise InvalidWallet(f"The {where} must be a JSON array of 64 numbers from 0 to 255.")
    return bytes(numbers)
