"""Where a job of a given name lives: the job and run keys are derived from wallet, program, name and generation (pure)."""
# Copyright (c) 2026, The nosana.compute contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection and may change without notice.

from __future__ import annotations

import hashlib
import hmac
import struct
from typing import TYPE_CHECKING, Literal

from .._libraries import solders

if TYPE_CHECKING:
    from solders.keypair import Keypair

# Changing the salt or the layout of `info` would lose every job posted before: a new scheme needs a new version beside this one.
_SALT = b"nosana.compute/job-identity/v1"
_PURPOSES: dict[str, bytes] = {"job": b"\x01", "run": b"\x02"}

Purpose = Literal["job", "run"]


def hkdf_sha256(key_material: bytes, *, salt: bytes, info: bytes) -> bytes:
    """32 bytes of output key material by RFC 5869 with SHA-256; one block is enough for an ed25519 seed."""
    extracted = hmac.new(salt, key_material, hashlib.sha256).digest()
    return hmac.new(extracted, info + b"\x01", hashlib.sha256).digest()


def derive_key(wallet_seed: bytes, *, program: str, name: str, generation: int, purpose: Purpose) -> Keypair:
    """The key pair of the job (or run) account for one generation of a name.

    wallet_seed: the 32-byte secret seed of the wallet that owns the job.
    program: base58 address of the jobs program, so that networks do not share keys.
    generation: 0 for the first job of the name, one more each time a new job is due.

    info = program (32 bytes) ‖ purpose (1) ‖ generation (u32, little endian) ‖ name (UTF-8, last, so that nothing is ambiguous).
    """
    info = bytes(solders.pubkey.Pubkey.from_string(program)) + _PURPOSES[purpose] + struct.pack("<I", generation) + name.encode("utf-8")
    return solders.keypair.Keypair.from_seed(hkdf_sha256(wallet_seed, salt=_SALT, info=info))


class Identity:
    """All addresses of one name in one wallet on one program; keys are derived when asked for."""

    def __init__(self, wallet: Keypair, *, program: str, name: str) -> None:
        self._seed = bytes(wallet)[:32]
        self._program = program
        self.name = name

    def key(self, generation: int, purpose: Purpose) -> Keypair:
        """The key pair that signs the creation of that account."""
        return derive_key(self._seed, program=self._program, name=self.name, generation=generation, purpose=purpose)

    def address(self, generation: int, purpose: Purpose = "job") -> str:
        """The account's address in base58."""
        return str(self.key(generation, purpose).pubkey())
