"""The planted secrets, every form in which one may come out, and the search for them."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import json
import random
import string
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus

from solders.keypair import Keypair

# Made when the tests start, so that nothing in the repository looks like somebody's key.
_RANDOM = random.Random(20261125)
_WINDOW, _STRIDE = 12, 4


def _text(length: int, alphabet: str = string.ascii_letters + string.digits) -> str:
    return "".join(_RANDOM.choice(alphabet) for _index in range(length))


def _base64url(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _jwt() -> str:
    return ".".join([_base64url('{"alg":"HS256","kid":"' + _text(12) + '"}'), _base64url('{"sub":"' + _text(20) + '"}'), _text(43)])


def _pem() -> str:
    lines = "\n".join(_text(64, string.ascii_letters + string.digits + "+/") for _line in range(4))
    return f"-----BEGIN PRIVATE KEY-----\n{lines}\n-----END PRIVATE KEY-----"


def _definition_plants(owner: str) -> dict[str, str]:
    """One secret for each place of a definition."""
    return {
        f"{owner}_env_password": f"P1a\"n't\\ed wörd/+&=%{_text(12)}",
        f"{owner}_env_token": _text(24),
        f"{owner}_env_pem": _pem(),
        f"{owner}_env_short": _text(7),
        f"{owner}_value_sk": f"sk-{_text(32)}",
        f"{owner}_value_hf": f"hf_{_text(34)}",
        f"{owner}_value_ghp": f"ghp_{_text(36)}",
        f"{owner}_value_aws": f"AKIA{_text(16, string.ascii_uppercase + string.digits)}",
        f"{owner}_value_jwt": _jwt(),
        f"{owner}_value_hex": _text(64, "0123456789abcdef"),
        f"{owner}_value_base64": base64.b64encode(_RANDOM.randbytes(33)).decode(),
        f"{owner}_value_base58": str(Keypair.from_seed(_RANDOM.randbytes(32))),
        f"{owner}_value_url_password": _text(16),
        f"{owner}_value_url_query": _text(20),
        f"{owner}_docker_password": _text(14),
        f"{owner}_s3_id": f"AKIA{_text(16, string.ascii_uppercase + string.digits)}",
        f"{owner}_s3_secret": _text(40, string.ascii_letters + string.digits + "+/"),
        f"{owner}_s3_url_signature": _text(40, "0123456789abcdef"),
        f"{owner}_hf_token": f"hf_{_text(34)}",
        f"{owner}_header_bearer": _text(30),
        f"{owner}_header_cookie": _text(18),
        f"{owner}_cmd_flag": _text(22),
        f"{owner}_cmd_next": _text(22),
        f"{owner}_cmd_assigned": _text(22),
        f"{owner}_cmd_bearer": _text(30),
        f"{owner}_global_env": _text(16),
        f"{owner}_global_variable": _text(16),
        f"{owner}_endpoint_query": _text(16),
    }


WALLET = Keypair.from_seed(_RANDOM.randbytes(32))
OTHER_WALLET = Keypair.from_seed(_RANDOM.randbytes(32))

PLANTS: dict[str, str] = {
    **_definition_plants("own"),
    **_definition_plants("new"),
    **_definition_plants("foreign"),
    "rpc_query": _text(32, "0123456789abcdef-"),
    "rpc_path": _text(32),
    "rpc_password": f"{_text(10)}%2F{_text(6)}",
    "ipfs_path": _text(32),
    "ipfs_query": _text(24),
    "gateway_password": _text(18),
    "jwt": _jwt(),
    "bad_jwt": f"{_text(24)} ü{_text(12)}",
    "api_query": _text(24),
    "mistyped_option": _text(24),
    "mistyped_choice": f"sk-{_text(32)}",
    "mistyped_number": f"sk-{_text(32)}",
    "broken_json": _text(24),
    "broken_env": _text(24),
    "job_env": f'j0b\'s "env" /+{_text(14)}',
    "job_env_multiline": _pem(),
    "carried_jwt": _jwt(),
    "carried_rpc_query": _text(28),
    "proxy_password": _text(20),
    "broken_proxy_password": _text(20),
    "crash": _text(24),
}


def _keys() -> dict[str, list[str]]:
    found = {}
    for name, key in (("wallet", WALLET), ("other wallet", OTHER_WALLET)):
        raw = bytes(key)
        numbers = [str(number) for number in raw]
        found[name] = [
            str(key),
            raw.hex(),
            raw[:32].hex(),
            *(separator.join(numbers[at : at + 6]) for separator in (",", ", ", "\\n", "\n") for at in range(0, 32, 4)),
            *_in_base64(raw[:32]),
            *_windows(str(key)),
            *_windows(raw[:32].hex()),
        ]
    return found


def _in_base64(raw: bytes) -> Iterator[str]:
    """What is the same in base64 whatever stands before and after it."""
    for shift in range(3):
        text = base64.b64encode(b"\0" * shift + raw)
        start = (shift * 8 + 5) // 6
        core = text[start : (shift + len(raw)) * 8 // 6].decode()
        if len(core) >= 7:
            yield core
            yield core.replace("+", "-").replace("/", "_")


def _windows(text: str) -> Iterator[str]:
    """Parts that are long enough to be no accident: a secret that is cut off is still one."""
    return (text[at : at + _WINDOW] for at in range(0, len(text) - _WINDOW + 1, _STRIDE))


def forms_of(secret: str) -> list[str]:
    """Every form that is searched for."""
    forms = [secret, quote(secret, safe=""), quote(secret), quote_plus(secret), repr(secret)[1:-1]]
    forms += [json.dumps(secret)[1:-1], json.dumps(json.dumps(secret))[3:-3], json.dumps(secret, ensure_ascii=False)[1:-1]]
    forms += [secret.encode().hex(), ", ".join(map(str, secret.encode())), ",".join(map(str, secret.encode())), secret[::-1]]
    forms += _in_base64(secret.encode())
    for line in secret.splitlines():
        if "-----" not in line:
            forms += [*_windows(line), *_windows(quote(line, safe="")), *_in_base64(line.encode())]
    return [form for form in dict.fromkeys(forms) if len(form) >= 6]


NEEDLES: dict[str, list[bytes]] = {name: [form.encode() for form in forms_of(secret)] for name, secret in PLANTS.items()} | {
    name: [form.encode() for form in forms] for name, forms in _keys().items()
}


def search(content: bytes) -> dict[str, str]:
    """Name of each plant that stands in the content, and where."""
    found = {}
    for name, needles in NEEDLES.items():
        for needle in needles:
            at = content.find(needle)
            if at >= 0:
                found[name] = content[max(0, at - 160) : at + len(needle) + 60].decode("utf-8", "replace")
                break
    return found


def search_tree(directory: Path) -> tuple[list[str], int]:
    """What was found in all files below, as sentences, and how many bytes were searched."""
    leaks, size = [], 0
    for path in sorted(directory.rglob("*")):
        if path.is_file() and not path.is_symlink():
            content = path.read_bytes()
            size += len(content)
            leaks += [f"{name} in {path.relative_to(directory)}: …{where}…" for name, where in search(content).items()]
            leaks += [f"{name} in the name of {path.relative_to(directory)}" for name in search(str(path).encode())]
    return leaks, size
