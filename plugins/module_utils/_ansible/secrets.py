"""Keeps secrets out of everything that a task shows: one masker for results, messages, warnings and logs, the same on every ansible-core."""
# Copyright (c) 2026, The nosana.compute contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection and may change without notice.

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

from .._clients.base58 import b58encode
from .._clients.errors import NosanaError
from .._clients.printable import without_controls
from .._clients.wallet import load_wallet
from .._jobs.sensitive import MASK, MOST_SECRETS, SHORTEST_VALUE, redact, secrets, tokens, url_secrets

# Of a long secret its beginning is enough to know it by, because servers and we cut long texts off.
_BEGINNING = 12
_LONG = 2 * _BEGINNING
_DEEPEST = 100
_SHORTEST_FOREIGN_WORD = 12
_URLS = ("rpc_url", "ipfs_api_url", "ipfs_gateway_url", "api_url", "node_domain")
_TOKENS = ("ipfs_jwt", "api_key")
_HIDDEN = frozenset({"wallet", "rpc_url", "ipfs_api_url", "ipfs_gateway_url", *_TOKENS})
# Options whose values are parts of a definition, as the definition's own keys.
_PARTS = {"env": "env", "command": "cmd", "image": "image"}


class Masker:
    """Replaces known secrets, in every form in which they occur, and whatever is unmistakably a credential; takes out what a terminal obeys."""

    def __init__(self) -> None:
        self.values: set[str] = set()
        self._forms: list[str] = []

    def add(self, values: Iterable[str | None]) -> list[str]:
        """Learns secrets; those too short to be told from ordinary words are not. Returns the new ones."""
        new = [value for value in values if value and len(value) >= SHORTEST_VALUE and value not in self.values]
        self.values.update(new)
        forms = {
            form for value in self.values for form in (*_forms(value), *_forms(without_controls(value))) if len(form) >= SHORTEST_VALUE
        }
        self._forms = sorted(forms, key=len, reverse=True)
        return new

    def text(self, text: str) -> str:
        """The text without secrets, and without escape sequences, control characters and changes of the writing direction. These go first,
        because what is left when they are gone may be a secret.
        """
        text = without_controls(text)
        spans: list[tuple[int, int]] = []
        for form in self._forms:
            anchor = form[:_BEGINNING] if len(form) >= _LONG else form
            at = text.find(anchor)
            while at >= 0:
                end = at + len(anchor)
                while end < len(text) and end - at < len(form) and text[end] == form[end - at]:
                    end += 1
                spans.append((at, end))
                at = text.find(anchor, end)
        masked = _cover(text, spans)
        found = set(tokens(masked))
        if len(found) > MOST_SECRETS:
            return MASK
        for token in sorted(found, key=len, reverse=True):
            masked = masked.replace(token, MASK)
        return masked

    def value(self, value: Any) -> Any:
        """The same for all texts in a value, keys included. What a host nests deeper than anybody can read is not shown."""
        return self._value(value, 0, {})

    def _value(self, value: Any, depth: int, seen: dict[str, str]) -> Any:
        if isinstance(value, str):
            # Of a thousand jobs most texts are the same.
            if value not in seen:
                seen[value] = self.text(value)
            return seen[value]
        if isinstance(value, Mapping):
            return (
                MASK
                if depth > _DEEPEST
                else {self._value(key, depth, seen): self._value(item, depth + 1, seen) for key, item in value.items()}
            )
        if isinstance(value, (list, tuple)):
            return MASK if depth > _DEEPEST else [self._value(item, depth + 1, seen) for item in value]
        return value


def option_secrets(params: Mapping[str, Any]) -> list[str]:
    """Every secret in the options of a task, whether they are valid or not."""
    found = [secret for name in _URLS for url in _texts(params.get(name)) for secret in _secrets_of_url(url)]
    found += [params[name].strip() for name in _TOKENS if isinstance(params.get(name), str)]
    if isinstance(params.get("wallet"), str):
        found += _wallet_secrets(params["wallet"])
    definition = _parsed(params.get("job_definition"))
    if definition is not None:
        found += secrets(definition)
    return found + secrets(_short_form(params))


def _texts(value: Any) -> list[str]:
    """The texts of an option that may be one or a list."""
    return [text for text in (value if isinstance(value, list) else [value]) if isinstance(text, str)]


def shown_options(params: Mapping[str, Any], known: Iterable[str], masker: Masker) -> dict[str, Any]:
    """The options as they may stand in `invocation` and in the system's log. What is no option of the module may be anything, so it is hidden."""
    options = frozenset(known)
    parts = redact(_short_form(params))["ops"][0]["args"]
    shown: dict[str, Any] = {}
    for name, value in params.items():
        if value is None or isinstance(value, bool):
            shown[name] = value
        elif name in _HIDDEN or name not in options:
            shown[name] = MASK
        elif name == "job_definition":
            definition = _parsed(value)
            shown[name] = MASK if definition is None else masker.value(redact(definition))
        elif name == "env" and not isinstance(value, dict):
            shown[name] = MASK
        elif name in _PARTS:
            shown[name] = masker.value(parts[_PARTS[name]])
        else:
            shown[name] = masker.value(redact(value))
    return shown


def no_log_values(params: Mapping[str, Any], spec: Mapping[str, Mapping[str, Any]]) -> set[str]:
    """The values of the options that are no_log."""
    return {text for name, option in spec.items() if option.get("no_log") for text in _texts(params.get(name)) if text}


def withheld(values: Iterable[str], params: Mapping[str, Any]) -> set[str]:
    """Of what Ansible would hide wherever it stands, because its option is no_log, what should be.

    A key given as a list makes a secret of each of its numbers, and so blanks all digits; the name of a key file is no secret.
    """
    path = params.get("wallet")
    names_a_file = isinstance(path, str) and os.path.isfile(os.path.expanduser(path))
    return {value for value in values if len(value) >= SHORTEST_VALUE and not (names_a_file and value == path)}


def foreign(values: Iterable[str]) -> list[str]:
    """Secrets of a definition from IPFS. Somebody else's must not be able to blank ordinary words, such as a status, in our result."""
    return [value for value in values if len(value) >= _SHORTEST_FOREIGN_WORD or not value.isalpha()]


def register(hidden: set[str], values: Iterable[str]) -> None:
    """Tells Ansible too: ansible-core 2.22 wants secrets registered, older ones remove `hidden` from a result.

    Not numbers, because Ansible would hide amounts and times that contain them.
    """
    values = [value for value in values if not value.isdigit()]
    try:
        from ansible.module_utils.secrets import register_secret
    except ImportError:
        hidden.update(values)
    else:
        for secret in values:
            register_secret(secret)


def without(result: dict[str, Any], hidden: set[str]) -> dict[str, Any]:
    """What AnsibleModule makes of a result: from ansible-core 2.22 on nothing is removed, because Ansible masks what was registered."""
    if not hidden:
        return result
    from ansible.module_utils.common.parameters import remove_values

    kept = {key: value for key, value in result.items() if value is None or isinstance(value, bool)}
    return dict(remove_values(result, hidden)) | kept


def _forms(secret: str) -> Iterable[str]:
    """How a secret may be written: as it is, in a URL, in JSON or Python text, in base64 (without the end, which depends on what follows)."""
    yield secret
    yield from (quote(secret, safe=""), quote(secret), quote_plus(secret))
    yield from (json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], repr(secret)[1:-1])
    raw = secret.encode("utf-8", "surrogatepass")
    raw = raw[: len(raw) // 3 * 3]
    if len(raw) >= SHORTEST_VALUE:
        yield from (base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode())


def _cover(text: str, spans: list[tuple[int, int]]) -> str:
    """The text with a mask over each span; spans that touch get one."""
    out: list[str] = []
    at = 0
    merged: list[list[int]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], end)
        else:
            merged.append([start, end])
    for start, end in merged:
        out += [text[at:start], MASK]
        at = end
    return "".join([*out, text[at:]])


def _secrets_of_url(url: str) -> list[str]:
    """Also what an Authorization header makes of user and password."""
    found = url_secrets(url)
    user, at, _host = url.partition("://")[2].partition("/")[0].rpartition("@")
    return [*found, *([base64.b64encode(user.encode("utf-8", "replace")).decode()] if at else [])]


def _wallet_secrets(value: str) -> list[str]:
    """The key in all forms that people have it in. The name of a key file is none."""
    try:
        secret = bytes(load_wallet(value).keypair)
    except (NosanaError, TypeError, ValueError, OSError):  # TypeError: without solders there is no key, and the task fails for that
        return []
    numbers = [str(number) for number in secret]
    seed, half = secret[:32], numbers[:32]
    texts = [
        b58encode(secret),
        b58encode(seed),
        secret.hex(),
        seed.hex(),
        base64.b64encode(secret).decode(),
        base64.b64encode(seed).decode(),
    ]
    return texts + [separator.join(half) for separator in (",", ", ", " ", "\n")]


def _parsed(value: Any) -> Any:
    """A definition from an option; None for text that is no JSON, in which nothing can be told apart."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return None


def _short_form(params: Mapping[str, Any]) -> dict[str, Any]:
    """The options of the short form at their places in a definition."""
    return {
        "meta": {"name": params.get("name")},
        "ops": [{"args": {key: params[name] for name, key in _PARTS.items() if params.get(name) is not None}}],
    }
