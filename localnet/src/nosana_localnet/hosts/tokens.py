"""The token by which the owner of a job shows to a host who it is: `message:signature`, optionally `:time`."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Final

from solders.pubkey import Pubkey
from solders.signature import Signature

MAX_CHARACTERS: Final = 4096


class Malformed(ValueError):
    """The text is no token at all."""


def is_signed_by(token: str, owner: Pubkey, *, now_ms: float, max_age_seconds: float) -> bool:
    """Whether the owner has signed the message, and the time, where there is one, is young enough. Malformed for no token."""
    parts = token.split(":")
    if len(token) > MAX_CHARACTERS or len(parts) not in (2, 3) or not parts[0]:
        raise Malformed("a token is message:signature or message:signature:time")
    try:
        signature = Signature.from_string(parts[1])
        time_ms = float(parts[2]) if len(parts) == 3 else now_ms
    except ValueError:
        raise Malformed("the token's signature or time cannot be read") from None
    return abs(now_ms - time_ms) <= max_age_seconds * 1000 and signature.verify(owner, parts[0].encode())
