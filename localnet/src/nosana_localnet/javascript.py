"""JSON as JavaScript reads and writes it: the pinning service does both, and a content address hangs on every byte."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import math
import re
from decimal import Decimal
from typing import Any, Final

_SAFE: Final = 2**53
_SAFE_DIGITS: Final = 16
_DECIMAL_MOST: Final = 21
_DECIMAL_LEAST: Final = -6
_INDEX: Final = re.compile(r"0|[1-9][0-9]{0,9}", re.ASCII)
_INDEX_MOST: Final = 2**32 - 2
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def parse(body: bytes | str) -> Any:
    """A document, whose numbers are doubles. ValueError for what JSON.parse refuses, and for nesting without end."""
    try:
        return json.loads(body, parse_int=_whole, parse_constant=_refused)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def stringify(value: Any) -> str:
    """A document without any space: keys that could be an array's index come first, and what is no number is null."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{_string(key)}:{stringify(value[key])}" for key in _keys(value)) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(map(stringify, value)) + "]"
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return _number(value)
    return json.dumps(value)


def _whole(text: str) -> int | float:
    return int(text) if len(text) <= _SAFE_DIGITS else float(text)


def _refused(word: str) -> Any:
    raise ValueError(f"{word} is not JSON")


def _keys(value: dict[str, Any]) -> list[str]:
    indices = [key for key in value if _INDEX.fullmatch(key) and int(key) <= _INDEX_MOST]
    return sorted(indices, key=int) + [key for key in value if key not in indices] if indices else list(value)


def _string(value: str) -> str:
    return _SURROGATE.sub(lambda found: f"\\u{ord(found[0]):x}", json.dumps(value, ensure_ascii=False))


def _number(value: int | float) -> str:
    """Number::toString of ECMAScript: the digits are the shortest that mean the number, as they are in Python."""
    if isinstance(value, int) and abs(value) <= _SAFE:
        return str(value)
    try:
        double = float(value)
    except OverflowError:
        return "null"
    if not math.isfinite(double):
        return "null"
    negative, digit_tuple, exponent = Decimal(repr(double)).normalize().as_tuple()
    assert isinstance(exponent, int)
    digits = "".join(map(str, digit_tuple))
    if digits == "0":
        return "0"
    point = len(digits) + exponent  # where the decimal point stands, counted from the first digit
    if len(digits) <= point <= _DECIMAL_MOST:
        text = digits + "0" * (point - len(digits))
    elif 0 < point <= _DECIMAL_MOST:
        text = f"{digits[:point]}.{digits[point:]}"
    elif _DECIMAL_LEAST < point <= 0:
        text = "0." + "0" * -point + digits
    else:
        text = digits[0] + ("." + digits[1:] if digits[1:] else "") + f"e{point - 1:+d}"
    return "-" * negative + text
