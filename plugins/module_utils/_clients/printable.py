"""Text of others as a terminal may be given it: without escape sequences and whatever else it obeys (pure)."""
# Copyright (c) 2026, The nosana.compute contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection and may change without notice.

from __future__ import annotations

import re

# C0 but tab and new line, C1, line and paragraph separators, changes of the writing direction, and halves of characters, which cannot be
# printed at all.
_OBEYED = r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
_ONE = re.compile(_OBEYED)
# Sequences that set colours and move the cursor, and those that name a window, go as a whole: their rest is no word of anybody.
_SEQUENCE = re.compile(rf"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|{_OBEYED}")


def without_controls(text: str) -> str:
    """The text without what a terminal obeys; tabs and new lines stay."""
    return _SEQUENCE.sub("", text)


def in_one_line(text: str) -> str:
    """The text with a space for each such character, tabs and new lines included."""
    return _ONE.sub(" ", text.replace("\t", " ").replace("\n", " "))
