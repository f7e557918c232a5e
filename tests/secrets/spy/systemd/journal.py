"""The journal, as far as Ansible uses it."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os


def sendv(*_fields: object) -> None:
    """Only looked for."""


def send(**fields: object) -> None:
    """One entry with all its fields."""
    with open(os.environ["SPY_FILE"], "a", encoding="utf-8", errors="surrogateescape") as file:
        file.writelines(f"journal: {name}={value}\n" for name, value in fields.items())
