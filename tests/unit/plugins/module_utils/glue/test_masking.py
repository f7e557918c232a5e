"""The masker, and the options as they may be shown."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import json
from pathlib import Path
from urllib.parse import quote_plus

import pytest
from solders.keypair import Keypair

from ansible_collections.nosana.compute.plugins.module_utils._ansible.options import job_spec, wallet_info_spec
from ansible_collections.nosana.compute.plugins.module_utils._ansible.secrets import Masker, option_secrets, shown_options

SECRET = "pl\"an't ed\\/+&=%ö-1234567890"


def masker(*values: str) -> Masker:
    made = Masker()
    made.add(values)
    return made


@pytest.mark.parametrize(
    "text",
    [
        SECRET,
        quote_plus(SECRET),
        json.dumps(SECRET),
        json.dumps(SECRET, ensure_ascii=False),
        repr(SECRET),
        base64.b64encode(SECRET.encode()).decode(),
        base64.b64encode(SECRET.encode() + b"\n").decode(),
        f"cut off: {SECRET[:14]}",
    ],
)
def test_every_form_of_a_secret(text: str) -> None:
    masked = masker(SECRET).text(f"before {text} after")
    assert masked.startswith("before ")
    assert masked.endswith(" after")
    assert "ed" not in masked
    assert "********" in masked


def test_what_is_not_masked() -> None:
    assert masker("short").text("short") == "short"
    value = {"a": [1, None, True, 1.5, "text"], "b": {"c": "x"}}
    assert masker("planted-1").value(value) == value


def test_keys_lists_and_neighbours() -> None:
    made = masker("planted-1", "planted-1-longer", "1-longer-still")
    assert made.value({"x planted-1": ["planted-1-longer-still!", ("planted-1",)]}) == {"x ********": ["********!", ["********"]]}


@pytest.mark.parametrize("hidden", ["plan\x1b[0mted-1", "plan\x00ted-1", "\x1b]0;x\x07planted\u202e-1", "planted\x9b-\r1"])
def test_a_secret_with_control_characters_in_it_is_no_other(hidden: str) -> None:
    assert masker("planted-1").text(f"a {hidden} b") == "a ******** b"
    assert masker(hidden).text(f"a {hidden} b") == "a ******** b"


def test_what_a_terminal_obeys_is_left_out_and_lines_stay() -> None:
    assert masker().text("a\x1b[31mb\x1b]0;title\x07c\x9b2J\rd\u202e\ne\tf\ud800é😀") == "abc2Jd\ne\tfé😀"
    assert masker().value({"\x1bk": ["\x07v"]}) == {"k": ["v"]}


def test_a_key_that_is_a_label_of_the_hosts_name(tmp_path: Path) -> None:
    url = "https://K3yOfACustomer42xYz.rpc.example/"
    made = masker(*option_secrets({"rpc_url": [url]}))
    assert made.text(f"asked {url} at {url.lower()}") == "asked https://********.rpc.example/ at https://********.rpc.example/"
    assert option_secrets({"rpc_url": "https://api.mainnet-beta.solana.com"}) == []


def test_a_value_nested_without_end() -> None:
    value: object = "planted-1"
    for _level in range(2000):
        value = [value]
    assert "planted" not in str(masker("planted-1").value(value))


def test_the_key_in_all_forms(tmp_path: Path) -> None:
    key = Keypair.from_seed(bytes(range(32)))
    path = tmp_path / "id.json"
    path.write_text(json.dumps(list(bytes(key))), encoding="utf-8")
    path.chmod(0o600)
    for wallet in (str(path), str(key), path.read_text(encoding="utf-8")):
        made = masker(*option_secrets({"wallet": wallet}))
        for form in (
            str(key),
            json.dumps(list(bytes(key))),
            bytes(key).hex(),
            base64.b64encode(bytes(key)).decode(),
            bytes(key)[:32].hex(),
        ):
            assert "********" in made.text(form)
        assert made.text(f"{key.pubkey()} {path}") == f"{key.pubkey()} {path}"
    assert option_secrets({"wallet": "no key"}) == []


def test_the_options_that_are_shown() -> None:
    params = {
        "name": "web",
        "state": "present",
        "wallet": "any",
        "rpc_url": "https://rpc.example/",
        "job_definition": '{"ops": [{"args": {"env": {"TOKEN": "planted-1", "MODEL": "m"}}}]}',
        "env": {"A_TOKEN": "planted-2", "MODEL": "m"},
        "command": ["run", "--token", "planted-3"],
        "api_url": "https://api.example/?token=planted-4",
        "timeout": 60,
        "gpu": True,
        "market": None,
        "walet": "planted-5",
    }
    shown = shown_options(params, job_spec(), masker(*option_secrets(params)))
    assert "planted" not in str(shown)
    assert shown["job_definition"] == {"ops": [{"args": {"env": {"TOKEN": "********", "MODEL": "m"}}}]}
    assert shown["command"] == ["run", "--token", "********"]
    assert {name: shown[name] for name in ("name", "state", "timeout", "gpu", "market")} == {
        "name": "web",
        "state": "present",
        "timeout": 60,
        "gpu": True,
        "market": None,
    }
    for name in ("wallet", "rpc_url", "walet"):
        assert shown[name] == "********"
    broken = shown_options({"job_definition": '{"TOKEN": "planted-1"', "env": "A_TOKEN planted-2"}, job_spec(), masker())
    assert broken == {"job_definition": "********", "env": "********"}


@pytest.mark.parametrize("option", [name for spec in (job_spec(), wallet_info_spec()) for name, more in spec.items() if more.get("no_log")])
def test_what_ansible_keeps_out_of_logs_we_hide_too(option: str) -> None:
    assert shown_options({option: "anything"}, [option], masker())[option] == "********"
