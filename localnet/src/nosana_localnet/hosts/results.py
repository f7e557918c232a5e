"""The results that an op finds in its own log by regular expressions."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

_LONGEST_EXPRESSION: Final = 1000
_LONGEST_LINE: Final = 10_000


def extract(logs: Iterable[Mapping[str, Any]], wanted: Mapping[str, Any] | None) -> dict[str, list[str] | str] | None:
    """For each key of an op's `results` the match and its groups of every line that matches, in order; the error of a bad expression.

    `wanted` is key → expression, or key → {regex, logType: [stdout, stderr, …]}; None, or no line at all, gives None (nosana-facts §6.2).
    """
    lines = list(logs)
    if not wanted or not lines:
        return None
    found: dict[str, list[str] | str] = {}
    for key, entry in wanted.items():
        expression, kinds = (entry, None) if isinstance(entry, str) else (str(entry.get("regex", "")), entry.get("logType"))
        try:
            # A lone star is read as the host software reads it: any number of slashes, so it matches everything, with nothing.
            pattern = re.compile("/*" if expression == "*" else _bounded(expression))
        except re.error as error:
            found[key] = f"SyntaxError: Invalid regular expression: /{expression}/: {error}"
            continue
        matches: list[str] = []
        for line in lines:
            match = pattern.search(str(line["log"])[:_LONGEST_LINE]) if kinds is None or line["type"] in kinds else None
            if match:
                matches.extend([match[0], *(group or "" for group in match.groups())])
        found[key] = matches
    return found


def _bounded(expression: str) -> str:
    if len(expression) > _LONGEST_EXPRESSION:
        raise re.error("too long")
    return re.sub(r"\(\?<(?![=!])", "(?P<", expression)  # JavaScript's named groups
