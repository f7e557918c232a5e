"""Whether systemd is said to run."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os


def booted() -> bool:
    """As the test run wants it."""
    return "SPY_JOURNAL" in os.environ
