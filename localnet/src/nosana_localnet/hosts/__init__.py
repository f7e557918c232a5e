"""Hosts: they wait in markets, take jobs, run them, publish results, and answer for them over HTTP.

``host`` is the life of one host on chain, ``flow`` runs a definition and writes the result document, ``runner`` says what
runs an op (``process`` and ``container`` do), ``api`` is what a job's owner and its visitors see.
"""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later
