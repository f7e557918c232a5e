"""Keeps secrets out of everything that Ansible prints, on every supported ansible-core."""
# Copyright (c) 2026, The nosana.compute contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection and may change without notice.

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

# A shorter value would blank ordinary words and numbers in results, and protects nothing.
_SHORTEST_SECRET = 6
# Hosted RPC nodes put their key into the path; ordinary path segments are shorter than this.
_SHORTEST_PATH_KEY = 20


def url_secrets(url: str | None) -> list[str]:
    """The parts of a URL that may be keys: user and password, every query value, long path segments."""
    if not url:
        return []
    try:
        parts = urlsplit(url)
    except ValueError:
        return [url]  # no URL at all; whoever uses it will say so
    found = [parts.password or "", parts.username or ""]
    found += [value for _name, value in parse_qsl(parts.query, keep_blank_values=True)]
    found += [segment for segment in parts.path.split("/") if len(segment) >= _SHORTEST_PATH_KEY]
    return found + [unquote(value) for value in found]


def register(module: Any, values: Iterable[str | None]) -> None:
    """Has the values masked: ansible-core 2.22 wants them registered, older ones look at no_log_values."""
    secrets = {value for value in values if value and len(value) >= _SHORTEST_SECRET}
    try:
        from ansible.module_utils.secrets import register_secret
    except ImportError:
        module.no_log_values.update(secrets)
    else:
        for secret in secrets:
            register_secret(secret)
