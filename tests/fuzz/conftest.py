"""How much is tried: NOSANA_FUZZ_EXAMPLES documents for each test, at random; without it a few, always the same ones."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

EXAMPLES = os.environ.get("NOSANA_FUZZ_EXAMPLES", "")

settings.register_profile(
    "nosana",
    max_examples=int(EXAMPLES) if EXAMPLES else 120,
    derandomize=not EXAMPLES,
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)
settings.load_profile("nosana")
