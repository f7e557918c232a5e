"""Finds what looks like a secret in a job definition: by the name it has, by its form, or by what stands before it (pure)."""
# Copyright (c) 2026, The nosana.compute contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection and may change without notice.

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, unquote, unquote_plus, urlsplit

from .._clients.base58 import b58decode
from .._clients.http import is_key_label

Path: TypeAlias = "tuple[str | int, ...]"

MASK = "********"
# A shorter value would blank ordinary words and numbers wherever they stand, so it is masked in its own place only.
SHORTEST_VALUE = 6
# A definition from IPFS may be nested as deeply as its author likes, and hold as many secrets.
_DEEPEST = 64
MOST_SECRETS = 1000

# --- names -----------------------------------------------------------------------------------------------------------

_WORD = r"(?:^|[_\-. ])"
_SECRET_NAME = re.compile(
    rf"PASSWORD|PASSWD|PASSPHRASE|{_WORD}(?:PASS|PWD)(?:$|[_\-.])|SECRET|TOKEN(?!I[ZS])|API[_-]?KEY|(?:ACCESS|ACCOUNT)[_-]?KEY|"
    rf"PRIVATE[_-]?KEY|SIGNING[_-]?KEY|ENCRYPTION[_-]?KEY|CREDENTIAL|AUTHORIZATION|COOKIE|BEARER|MNEMONIC|{_WORD}JWT|{_WORD}SEED[_-]?PHRASE|"
    rf"{_WORD}(?:KEY|KEYS|AUTH|PAT|DSN|SIG|SIGNATURE)$|CONNECTION[_-]?STRING",
    re.IGNORECASE,
)
# A name that says where a secret lies, or how many tokens a model may use, names none. Credentials in a URL are found by their place in it.
_NAME_OF_SOMETHING_ELSE = re.compile(
    r"(?:FILE|PATH|DIR|DIRECTORY|URL|URI|ENDPOINT|HOST|PORT|TYPE|NAME|SIZE|LENGTH|LEN|LIMIT|COUNT|TTL|SECONDS|ENABLED|HEADER)$",
    re.IGNORECASE,
)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_PASSWORD_NAME = re.compile(r"PASS|PWD|SECRET|PIN(?:$|_)", re.IGNORECASE)
_PLAIN_VALUE = re.compile(r"[+-]?[0-9]{1,12}(?:\.[0-9]+)?|true|false|yes|no|on|off|none|null|auto|default", re.IGNORECASE)
_SECRET_KEYS = frozenset({"password", "SECRET_ACCESS_KEY", "ACCESS_KEY_ID", "accessToken"})
_MAPS_OF_VALUES = frozenset({"env", "variables", "headers"})
_QUERY_NAMES = frozenset({"key", "sig", "signature", "auth", "code", "pwd", "pass", "sid", "session", "credential"})
_MARKER = re.compile(r"%%[^%]+%%\Z|\$\{?\w+\}?\Z")

# --- forms that are unmistakable -------------------------------------------------------------------------------------

_TOKEN = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    r"sk-[A-Za-z0-9_-]{16,}"  # OpenAI, Anthropic, OpenRouter
    r"|[srp]k_(?:live|test)_[A-Za-z0-9]{16,}"  # Stripe
    r"|hf_[A-Za-z0-9]{16,}"  # Hugging Face
    r"|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_-]{16,}"
    r"|(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])"  # AWS
    r"|AIza[A-Za-z0-9_-]{30,}|ya29\.[A-Za-z0-9_-]{20,}"  # Google
    r"|xox[abeprs]-[A-Za-z0-9-]{10,}|xapp-[A-Za-z0-9-]{10,}"  # Slack
    r"|npm_[A-Za-z0-9]{30,}|pypi-[A-Za-z0-9_-]{30,}|dckr_pat_[A-Za-z0-9_-]{16,}|dop_v1_[0-9a-f]{40,}"
    r"|r8_[A-Za-z0-9]{30,}|nvapi-[A-Za-z0-9_-]{20,}|gsk_[A-Za-z0-9]{30,}|SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}"
    r"|eyJ[A-Za-z0-9_-]{8,4000}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?"  # JWT
    r")"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
    re.DOTALL,
)
_BEARER = re.compile(r"\b(?:Bearer|Basic|Token)\s+([A-Za-z0-9_\-.~+/]{8,}=*)")
_USER_IN_URL = re.compile(r"\b[a-z][a-z0-9+.-]{0,20}://([^\s/?#@'\"]+)@", re.IGNORECASE)
_URL = re.compile(r"\b[a-z][a-z0-9+.-]{0,20}://[^\s'\"<>`]+", re.IGNORECASE)
_WEBHOOK = re.compile(r"(?:hooks\.slack\.com/(?:services|workflows)|discord(?:app)?\.com/api/webhooks)/([^\s'\"?#]+)", re.IGNORECASE)
_SCHEME_WORD = r"(?:(?:Bearer|Basic|Token|Digest)\s+)?"
_ASSIGNMENTS = (  # NAME=value, "name": "value", name: value; --name value, --name=value
    re.compile(rf"""(?:^|(?<=[\s'"({{,;&|?]))([A-Za-z][A-Za-z0-9_.-]*)["']?\s*[=:]\s*{_SCHEME_WORD}("[^"]*"|'[^']*'|[^\s"'&;|,)}}]+)"""),
    re.compile(rf"""(?:^|(?<=[\s'"(]))--?([A-Za-z][A-Za-z0-9_.-]*)(?:\s*=\s*|\s+)(?!-){_SCHEME_WORD}("[^"]*"|'[^']*'|[^\s"'&;|,)}}]+)"""),
)
_FLAG = re.compile(r"--?([A-Za-z][A-Za-z0-9_.-]*)\Z")
_NUMBERS = re.compile(r"\[\s*(?:[0-9]{1,3}\s*,\s*){63}[0-9]{1,3}\s*\]")

# --- forms that are likely, where a value is expected ----------------------------------------------------------------

_NO_SECRET_FORM = re.compile(r"HASH|DIGEST|SHA|MD5|REVISION|COMMIT|CHECKSUM|CID|ADDRESS|PUBKEY|PUBLIC|MINT|PROGRAM|MARKET", re.IGNORECASE)
_HEX_KEY = re.compile(r"(?:0x)?(?:[0-9a-f]{32}|[0-9a-f]{48}|[0-9a-f]{56,})\Z", re.IGNORECASE)
_FEWEST_DIFFERENT = 8
_ALNUM_RUN = re.compile(r"[A-Za-z0-9]{20,}")
_BETWEEN_PIECES = re.compile("[&;]")
_PLAIN = re.compile(r"[a-z]{1,12}|[0-9]{1,5}")
_PATH_KEY = re.compile(r"[A-Za-z0-9_-]{20,}\Z")


def redact(document: Any) -> Any:
    """A copy with secrets masked: each in its own place, and every one that is long enough wherever else it stands."""
    found: list[tuple[Path, str]] = []
    redacted = _scan(document, (), found)
    return _replace(redacted, sorted(_by_value(document, found), key=len, reverse=True))


def secrets(document: Any) -> list[str]:
    """The texts that must not be shown anywhere: those found, without what is too short or stands in the open in any case."""
    found: list[tuple[Path, str]] = []
    _scan(document, (), found)
    return _by_value(document, found)


def secret_places(document: Any) -> list[Path]:
    """Where in the definition secrets stand."""
    found: list[tuple[Path, str]] = []
    _scan(document, (), found)
    return list(dict.fromkeys(path for path, _text in found))


def is_secret_name(name: str) -> bool:
    """Whether a variable, header, flag or query value of that name holds a secret."""
    name = _CAMEL.sub("_", name)
    return bool(_SECRET_NAME.search(name)) and not _NAME_OF_SOMETHING_ELSE.search(name)


def tokens(text: str) -> list[str]:
    """Credentials whose form is unmistakable in any text: the tokens of well-known services, JWTs, private keys, passwords in URLs."""
    found = [match[0] for match in _TOKEN.finditer(text)]
    for match in _USER_IN_URL.finditer(text):
        user, separator, password = match[1].partition(":")
        found.append(password if separator else user)
    found += [match[1] for match in _BEARER.finditer(text) if any(letter.isdigit() for letter in match[1])]
    return [item for item in found if item and not _MARKER.match(item)]


def url_secrets(url: str | None) -> list[str]:
    """The parts of a URL that may be keys: user and password, query values that are no plain words, long path segments, labels of the host
    that look generated.
    """
    if not url:
        return []
    try:
        parts = urlsplit(url)
    except ValueError:
        return [url]  # no URL at all; whoever uses it will say so
    found = [parts.password or "", parts.username or ""] + [value for _name, value in _secret_query(parts.query, cautious=True)]
    found += [segment for segment in parts.path.split("/") if _PATH_KEY.match(segment)]
    # As it was written, and as it is asked for and shown.
    host = parts.netloc.rpartition("@")[2].partition(":")[0]
    found += [form for label in host.split(".") if is_key_label(label) for form in (label, label.lower())]
    return [item for item in dict.fromkeys(found + [unquote(value) for value in found]) if item]


# --- the search ------------------------------------------------------------------------------------------------------


def _scan(value: Any, path: Path, found: list[tuple[Path, str]], *, named: bool = False, before: Any = None) -> Any:
    """The redacted copy. `named`: something above has the name of a secret. `before`: what stands before it in a list."""
    if len(path) > _DEEPEST:
        return MASK
    if isinstance(value, dict):
        return {key: _scan(item, (*path, key), found, named=named or _key_names_secret(path, key, item)) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [
            _scan(item, (*path, index), found, named=named, before=value[index - 1] if index else None) for index, item in enumerate(value)
        ]
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, (int, float)):
        if not named:
            return value
        found.append((path, str(value)))
        return MASK
    text = str(value)
    hits = {text} if named and text and not _MARKER.match(text) else set(_hits(path, text, before))
    found += [(path, hit) for hit in hits]
    if len(hits) > MOST_SECRETS:
        return MASK
    for hit in sorted(hits, key=len, reverse=True):
        text = text.replace(hit, MASK)
    return text


def _key_names_secret(path: Path, key: Any, item: Any) -> bool:
    if key in _SECRET_KEYS:
        return True
    if not (path and path[-1] in _MAPS_OF_VALUES) or not is_secret_name(str(key)):
        return False
    return bool(_PASSWORD_NAME.search(str(key))) or not _PLAIN_VALUE.fullmatch(str(item))


def _hits(path: Path, text: str, before: Any) -> Iterator[str]:
    """The secret parts of a text."""
    if _MARKER.match(text):
        return
    yield from tokens(text)
    yield from (match[0] for match in _NUMBERS.finditer(text))
    yield from (match[1] for match in _WEBHOOK.finditer(text))
    for match in (match for pattern in _ASSIGNMENTS for match in pattern.finditer(text)):
        value = match[2].strip("\"'")
        if value and is_secret_name(match[1]) and not value.startswith(("$", "%%", "<")) and not _PLAIN_VALUE.fullmatch(value):
            yield value
    flag = _FLAG.match(before) if isinstance(before, str) else None
    if flag and is_secret_name(flag[1]) and not text.startswith("-"):
        yield text
    in_map = len(path) >= 2 and path[-2] in _MAPS_OF_VALUES
    for match in _URL.finditer(text):
        yield from _in_url(match[0], path_keys=in_map or path[-1:] == ("endpoint",))
    if in_map and not _NO_SECRET_FORM.search(str(path[-1])) and looks_random(text):
        yield text


def _in_url(url: str, *, path_keys: bool) -> Iterator[str]:
    try:
        parts = urlsplit(url)
    except ValueError:
        return
    yield from (value for _name, value in _secret_query(parts.query, cautious=False))
    if path_keys:
        yield from (segment for segment in parts.path.split("/") if looks_random(segment))


def _secret_query(query: str, *, cautious: bool) -> Iterator[tuple[str, str]]:
    """Query values that are keys, as they stand in the URL. With `cautious` all but plain words and numbers count as keys."""
    for piece in _BETWEEN_PIECES.split(query):
        name, _equals, value = piece.partition("=")
        name = unquote_plus(name)
        named = is_secret_name(name) or name.lower() in _QUERY_NAMES or name.lower().startswith("x-amz-s")
        plain = _PLAIN.fullmatch(value)
        if value and not _MARKER.match(value) and (named or (cautious and not plain)):
            yield name, value
            for _name, decoded in parse_qsl(f"x={value}"):
                if decoded != value:
                    yield name, decoded


def looks_random(text: str) -> bool:
    """Whether a whole value looks like a generated key. Addresses, content addresses, hashes of git and names of models do not."""
    if _HEX_KEY.match(text):
        return len(set(text)) >= _FEWEST_DIFFERENT
    if re.search(r"\s", text) or "." in text or not any(_mixed(run) for run in _ALNUM_RUN.findall(text)):
        return False
    if text.startswith(("Qm", "baf")) and text.isalnum():
        return False
    try:
        return len(b58decode(text)) != 32
    except ValueError:
        return True


def _mixed(run: str) -> bool:
    digits = sum(letter.isdigit() for letter in run)
    return digits >= 2 and any(letter.islower() for letter in run) and any(letter.isupper() for letter in run)


def _by_value(document: Any, found: list[tuple[Path, str]]) -> list[str]:
    """A password that is also the image's or the job's name hides nothing, and masking it would blank what the result is about."""
    public = " ".join(_public(document))
    texts = {line for _path, text in found for line in (text, *_long_lines(text))}
    wanted = sorted(text for text in texts if len(text) >= SHORTEST_VALUE and text not in public)
    return wanted if len(wanted) <= MOST_SECRETS else sorted(wanted, key=len)[-MOST_SECRETS:]


def _long_lines(text: str) -> list[str]:
    """A key of many lines is printed line by line."""
    lines = text.splitlines()
    return [line.strip() for line in lines if len(line.strip()) >= 16 and "-----" not in line] if len(lines) > 1 else []


def _public(document: Any) -> Iterator[str]:
    if not isinstance(document, dict):
        return
    meta, ops = document.get("meta"), document.get("ops")
    yield from _texts([meta.get("name")] if isinstance(meta, dict) else [])
    for op in ops if isinstance(ops, list) else []:
        if isinstance(op, dict):
            args = op.get("args")
            yield from _texts([op.get("id"), args.get("image") if isinstance(args, dict) else None])


def _texts(values: Iterable[Any]) -> Iterator[str]:
    """What is itself a credential is no public name."""
    yield from (value for value in values if isinstance(value, str) and not tokens(value))


def _replace(value: Any, known: list[str]) -> Any:
    if not known:
        return value
    if isinstance(value, dict):
        return {_replace(key, known): _replace(item, known) for key, item in value.items()}
    if isinstance(value, list):
        return [_replace(item, known) for item in value]
    if isinstance(value, str):
        for text in known:
            value = value.replace(text, MASK)
    return value
