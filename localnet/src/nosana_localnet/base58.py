"""Base58 with the Bitcoin alphabet, as addresses, signatures and content identifiers are written."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Final

ALPHABET: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_DIGITS: Final = {character: value for value, character in enumerate(ALPHABET)}


class InvalidCharacter(ValueError):
    """A character outside the alphabet, and where it stands."""

    def __init__(self, character: str, index: int):
        super().__init__(f"{character!r} at {index} is no base58 character")
        self.character = character
        self.index = index


def encode(data: bytes) -> str:
    number = int.from_bytes(data, "big")
    text = ""
    while number:
        number, digit = divmod(number, 58)
        text = ALPHABET[digit] + text
    return "1" * (len(data) - len(data.lstrip(b"\0"))) + text


def decode(text: str) -> bytes:
    """Decode text; InvalidCharacter where it is not base58. Time grows with the square of the length: bound it first."""
    number = 0
    for index, character in enumerate(text):
        digit = _DIGITS.get(character)
        if digit is None:
            raise InvalidCharacter(character, index)
        number = number * 58 + digit
    zeros = len(text) - len(text.lstrip("1"))
    return bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8, "big")
