"""What counts as a secret in a definition, and what people would miss if it did."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import time
from typing import Any

import pytest

from ansible_collections.nosana.compute.plugins.module_utils._jobs.sensitive import (
    MASK,
    is_secret_name,
    looks_random,
    redact,
    secret_places,
    secrets,
    tokens,
    url_secrets,
)

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl"


def in_env(name: str, value: Any) -> Any:
    return redact({"ops": [{"args": {"env": {name: value}}}]})["ops"][0]["args"]["env"][name]


@pytest.mark.parametrize(
    "name",
    [
        "PASSWORD",
        "DB_PASSWORD",
        "PGPASS_PASS",
        "MYSQL_PWD",
        "PASS",
        "passphrase",
        "SECRET",
        "client_secret",
        "HF_TOKEN",
        "HFTOKEN",
        "token",
        "API_KEY",
        "apikey",
        "X-Api-Key",
        "ApiKey",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "ssh-private-key",
        "KEY",
        "TLS_KEY",
        "AccountKey",
        "sshKey",
        "CREDENTIALS",
        "Authorization",
        "Cookie",
        "Set-Cookie",
        "JWT",
        "BASIC_AUTH",
        "SENTRY_DSN",
        "GITHUB_PAT",
        "MNEMONIC",
        "SEED_PHRASE",
        "sasSig",
        "X-Amz-Signature",
        "CONNECTION_STRING",
        "TOKENS",
    ],
)
def test_names_of_secrets(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "MODEL_NAME",
        "TOKENIZERS_PARALLELISM",
        "TOKENIZER",
        "TOKENIZATION",
        "PATH",
        "HOME",
        "PORT",
        "KEYBOARD",
        "MONKEY",
        "PASSENGERS",
        "BYPASS_CACHE",
        "AUTHOR",
        "COMPASS",
        "PASSWORD_FILE",
        "TLS_KEY_PATH",
        "TOKEN_URL",
        "SECRET_NAME",
        "AUTH_TYPE",
        "KEYSPACE_SIZE",
        "TOKEN_LIMIT",
    ],
)
def test_names_of_other_things(name: str) -> None:
    assert not is_secret_name(name)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MAX_TOKENS", "4096"),
        ("USE_AUTH", "true"),
        ("TOKEN", "%%global.variables.token%%"),
        ("TOKEN", "$OTHER"),
        ("MODEL", "mistralai/Mistral-7B-Instruct-v0.2"),
        ("MODEL", "TheBloke/Mistral-7B-Instruct-v0_2-GPTQ"),
        ("MODEL_REVISION", "9bf2e5a7c4d1f0836a5b7c8d9e0f1a2b3c4d5e6f"),
        ("COMMIT", "9bf2e5a7c4d1f0836a5b7c8d9e0f1a2b3c4d5e6f"),
        ("IMAGE_SHA256", "0" * 63 + "a"),
        ("MARKET", "7AtiXMSH6R1jjBxrcYjehCkkSF7zvYWte63gwEDBcGHq"),
        ("PAYER", "7AtiXMSH6R1jjBxrcYjehCkkSF7zvYWte63gwEDBcGHq"),
        ("WEIGHTS", "QmTcNQ4dGq8veeg8v5cQyGoaJEPSYQnVTd1TvfckVFVzRu"),
        ("ID", "123e4567-e89b-12d3-a456-426614174000"),
        ("DATE", "2026-11-25T22:30:00Z"),
        ("URL", "https://huggingface.co/mistralai/Mistral-7B-Instruct-v0.2/resolve/main/model.safetensors?download=true"),
        ("ENDPOINT", "postgres://db.example:5432/app?sslmode=require"),
        ("HELLO", "the token is in the other variable, and the password too"),
        ("ARGS", "--max-tokens 4096 --tokenizer auto --key-cache-size 20"),
        ("LONG", "a" * 200),
        ("NUMBERS", "1234567890123456789012345678"),
    ],
)
def test_what_is_no_secret_stays(name: str, value: str) -> None:
    assert in_env(name, value) == value


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("PASSWORD", "123456", MASK),
        ("PASSWORD", 123456, MASK),
        ("PASSWORD", "x", MASK),
        ("SECRETS", {"a": ["b", 1]}, {"a": [MASK, MASK]}),
        ("OPENAI", "sk-abcdefghijklmnop1234", MASK),
        ("X", JWT, MASK),
        ("X", "9bf2e5a7c4d1f0836a5b7c8d9e0f1a2b", MASK),
        ("X", "dGhpcyBpcyBhIHNlY3JldCB0aGF0IG5vYm9keSBrbm93cyAx", MASK),
        ("X", "[" + ", ".join(["7"] * 64) + "]", MASK),
        ("X", "-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----", MASK),
        ("URL", "postgres://app:pa55w0rd@db.example/app", f"postgres://app:{MASK}@db.example/app"),
        ("URL", "https://gittoken99@git.example/x.git", f"https://{MASK}@git.example/x.git"),
        ("URL", "https://rpc.example/?api-key=abc123&x=1", f"https://rpc.example/?api-key={MASK}&x=1"),
        ("URL", "https://rpc.example/v2/aB3dE5fG7hI9jK1lM3nO5pQ7", f"https://rpc.example/v2/{MASK}"),
        ("HOOK", "https://hooks.slack.com/services/T0/B0/xyz", f"https://hooks.slack.com/services/{MASK}"),
        ("CONFIG", '{"api_key": "abc123", "model": "m"}', f'{{"api_key": "{MASK}", "model": "m"}}'),
        ("ADO", "Server=db;Password=xyz-1;Port=1", f"Server=db;Password={MASK};Port=1"),
        ("HEADER", "Authorization: Bearer abcdefgh1", f"Authorization: Bearer {MASK}"),
    ],
)
def test_what_is_a_secret_goes(name: str, value: Any, shown: Any) -> None:
    assert in_env(name, value) == shown


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        (["serve", "--api-key", "abc", "--port", "80"], ["serve", "--api-key", MASK, "--port", "80"]),
        (["serve", "--api-key=abc", "-x"], ["serve", f"--api-key={MASK}", "-x"]),
        (["serve", "--token", "--verbose"], ["serve", "--token", "--verbose"]),
        ("TOKEN=abc run --password 'a b' x", f"TOKEN={MASK} run --password '{MASK}' x"),
        ("export TOKEN=$OTHER && run", "export TOKEN=$OTHER && run"),
        ("curl -H 'X-Api-Key: abc' http://x/?token=def", f"curl -H 'X-Api-Key: {MASK}' http://x/?token={MASK}"),
        ("python -m vllm --model mistral --max-model-len 4096", "python -m vllm --model mistral --max-model-len 4096"),
    ],
)
def test_commands(command: Any, shown: Any) -> None:
    assert redact({"ops": [{"args": {"cmd": command}}]})["ops"][0]["args"]["cmd"] == shown


def test_a_secret_is_masked_wherever_else_it_stands() -> None:
    document = {"ops": [{"id": "one", "args": {"image": "x", "cmd": "echo planted-1 pla", "env": {"TOKEN": "planted-1", "PASS": "pla"}}}]}
    assert secrets(document) == ["planted-1"]  # the other is too short to be looked for in other places
    assert redact(document)["ops"][0]["args"] == {"image": "x", "cmd": f"echo {MASK} pla", "env": {"TOKEN": MASK, "PASS": MASK}}
    assert secret_places(document) == [("ops", 0, "args", "env", "TOKEN"), ("ops", 0, "args", "env", "PASS")]


def test_a_password_that_is_the_name_of_the_image_does_not_blank_it() -> None:
    document = {
        "meta": {"name": "my-database"},
        "ops": [{"id": "db", "args": {"image": "postgres:16", "env": {"POSTGRES_PASSWORD": "postgres", "B_PASSWORD": "my-database"}}}],
    }
    assert secrets(document) == []
    redacted = redact(document)
    assert redacted["meta"]["name"] == "my-database"
    assert redacted["ops"][0]["args"]["image"] == "postgres:16"
    assert set(redacted["ops"][0]["args"]["env"].values()) == {MASK}


def test_a_token_as_the_image_is_still_a_secret() -> None:
    document = {"ops": [{"id": "one", "args": {"image": "hf_abcdefghijklmnop1234"}}]}
    assert secrets(document) == ["hf_abcdefghijklmnop1234"]


def test_a_deep_document_is_cut_off_and_not_recursed_into() -> None:
    document: Any = {"env": {"TOKEN": "planted-token"}}
    for _level in range(5000):
        document = {"x": document}
    assert "planted" not in str(redact(document))
    assert secrets(document) == []


@pytest.mark.parametrize(
    "text",
    ["a." * 200_000, "eyJaaaaaaaa-" * 20_000, "http://" * 50_000, "a=" * 100_000, "x:" * 100_000, "-----BEGIN A" * 20_000, "a" * 500_000],
    ids=lambda text: text[:6],
)
def test_hostile_text_takes_no_hostile_time(text: str) -> None:
    start = time.process_time()
    redact({"env": {"X": text}})
    assert time.process_time() - start < 3


def test_more_secrets_than_anybody_has_take_no_hostile_time() -> None:
    many = [f"hf_{number:020d}" for number in range(20_000)]
    start = time.process_time()
    assert redact({"cmd": " ".join(many)}) == {"cmd": MASK}
    assert set(redact({"env": {token: token for token in many}})["env"].values()) == {MASK}
    assert len(secrets({"env": dict(enumerate(many))})) == 1000
    assert time.process_time() - start < 15


@pytest.mark.parametrize(
    ("url", "keys"),
    [
        (None, []),
        ("https://api.mainnet-beta.solana.com", []),
        ("https://rpc.example/?network=mainnet&page=1", []),
        ("https://me:p%2Fw@rpc.example/", ["p%2Fw", "me", "p/w"]),
        ("https://rpc.example/?api-key=short", ["short"]),
        ("https://rpc.example/?x=0123-4567-89ab", ["0123-4567-89ab"]),
        ("https://rpc.example/v2/abcdefghijklmnopqrstuvwx/", ["abcdefghijklmnopqrstuvwx"]),
        ("http://[", ["http://["]),
    ],
)
def test_keys_in_urls(url: str | None, keys: list[str]) -> None:
    assert url_secrets(url) == keys


def test_tokens_in_prose() -> None:
    assert tokens(f"refused for {JWT}, or ghp_abcdefghijklmnopqrst.") == [JWT, "ghp_abcdefghijklmnopqrst"]
    assert (
        tokens("The wallet 7AtiXMSH6R1jjBxrcYjehCkkSF7zvYWte63gwEDBcGHq needs 0.3 NOS; basic security, token economy, ask-me_anything")
        == []
    )
    assert not looks_random("NVIDIA-GeForce-RTX-4090-Laptop")
