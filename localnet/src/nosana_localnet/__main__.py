"""`python -m nosana_localnet` is `nosana-localnet`."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

import sys

from .cli import main

sys.exit(main())
