"""Stands in for systemd's Python package: what modules send to the journal goes to the spy's file."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later
