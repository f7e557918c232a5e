"""The pages of the documentation say what the code says: error sentences and codes, environment variables, networks, names of options."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.nosana.compute.plugins.module_utils._ansible import options
from ansible_collections.nosana.compute.plugins.module_utils._clients import errors
from ansible_collections.nosana.compute.plugins.module_utils._clients.networks import NETWORKS

ROOT = next(parent for parent in Path(__file__).resolve().parents if (parent / "galaxy.yml").is_file())
SPECS = {
    "nosana_job": options.job_spec(),
    "nosana_job_info": options.job_info_spec(),
    "nosana_market_info": options.market_info_spec(),
    "nosana_wallet_info": options.wallet_info_spec(),
}
OPTIONS = {name for spec in SPECS.values() for name in spec} | {
    alias for spec in SPECS.values() for option in spec.values() for alias in option.get("aliases", [])
}


def page(name: str) -> str:
    return (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")


def rows(text: str) -> list[list[str]]:
    """The cells of all tables of a page, without heads and rules."""
    lines = [[cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else [] for line in text.splitlines()]
    heads = {index for index, (_line, following) in enumerate(pairwise(lines)) if following and set("".join(following)) <= set("-")}
    return [line for index, line in enumerate(lines) if line and index not in heads and index - 1 not in heads]


def words(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def sentences() -> Iterator[str]:
    """Every text of the plugins, with … where a value is put in."""
    for file in sorted((ROOT / "plugins").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value
            elif isinstance(node, ast.JoinedStr):
                yield "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)


ALL_SENTENCES = list(sentences())


def subclasses(kind: type[errors.NosanaError]) -> Iterator[type[errors.NosanaError]]:
    for each in kind.__subclasses__():
        yield each
        yield from subclasses(each)


def said(heading: str) -> bool:
    """Whether a sentence of the code has all the words of the heading, in their order; where it puts in a value, the heading has …."""
    parts = [part.strip() for part in heading.split("…") if len(part.strip(" .,;:()")) > 1]
    pattern = re.compile(".*".join(map(re.escape, parts)), re.DOTALL)
    return bool(parts) and any(pattern.search(sentence) for sentence in ALL_SENTENCES)


@pytest.mark.parametrize("heading", re.findall(r"^### (.+)$", page("troubleshooting"), re.MULTILINE))
def test_an_error_sentence_is_the_codes(heading: str) -> None:
    labels = {"Solana RPC node": "…"}  # where the code puts in whom it has asked
    plain = heading
    for label, gap in labels.items():
        plain = plain.replace(label, gap)
    assert said(heading) or said(plain), heading


def test_a_sentence_that_the_code_does_not_have_is_noticed() -> None:
    assert not said("The job … would cost up to … SOL")


def test_the_table_of_codes_is_the_code() -> None:
    expected = {}
    for kind in subclasses(errors.NosanaError):
        meaning = re.sub(r'``details\["(\w+)"\]``', r"``details.\1``", (kind.__doc__ or "").splitlines()[0]).replace("``", "`")
        expected.setdefault(kind.code, ["yes" if kind.retryable else "no", meaning])
    found = {words(row[0])[0]: row[1:] for row in rows(page("errors"))}
    internal = found.pop("internal_error")
    assert internal[0] == "no"
    assert "internal_error" in ALL_SENTENCES
    assert found == expected


def test_the_table_of_variables_is_the_options() -> None:
    expected: dict[str, tuple[str, set[str], Any]] = {}
    for module, spec in SPECS.items():
        for name, option in spec.items():
            if "fallback" in option:
                (variable,) = option["fallback"][1]
                expected.setdefault(variable, (name, set(), option.get("default")))[1].add(module)
    found = {}
    for variable, option, of, default in (row for row in rows(page("environment")) if len(row) == 4 and row[0].startswith("`NOSANA_")):
        modules = set(SPECS) if of == "everything" else set(words(of))
        found[words(variable)[0]] = (words(option)[0], modules, words(default)[0] if words(default) else None)
    assert found == expected


def test_every_variable_that_the_code_reads_is_on_the_page() -> None:
    read = {found for sentence in ALL_SENTENCES for found in re.findall(r"\b(?:NOSANA|SSL_CERT)_[A-Z_]+[A-Z]\b", sentence)}
    assert {"NOSANA_DEBUG", "NOSANA_CACHE", "NOSANA_WALLET", "SSL_CERT_FILE"} <= read
    assert read <= set(words(page("environment")))


def test_the_table_of_networks_is_the_code() -> None:
    fields = {
        "rpc_url": lambda network: network.rpc_urls[0],
        "ipfs_api_url": lambda network: network.ipfs_api_url,
        "ipfs_gateway_url": lambda network: network.ipfs_gateway_urls[0],
        "api_url": lambda network: network.api_url,
        "node_domain": lambda network: network.node_domain,
    }
    found = {words(row[0])[0]: [words(cell)[0] for cell in row[1:]] for row in rows(page("environment")) if words(row[0])[0] in fields}
    assert found == {name: [field(NETWORKS[each]) for each in ("mainnet", "devnet", "localnet")] for name, field in fields.items()}


THEIRS = {
    # What the provider's documentation lists: arguments, attributes, keys of the definition.
    "terraform": """job_definition completion_timeout_seconds wait_for_completion id status type version ops meta image cmd env expose gpu
        memory cpu trigger name description""",
    # The CLI's options and commands, of which the host's own are one word.
    "cli": """--network --rpc --wallet --api --format --verbose --log --market --timeout --file --url --image --gpu --host --wait --download
        --confidential --type --output --airdrop --limit --offset --state --node --poster --payer --time-start --time-end --group-by
        --time-series-interval --use-multiplier --skip-cache address node get list stop extend upload download validate serve ssh""",
}
# What stands in our column beside options: values, results, keys of the definition, modules and ways of Ansible.
BESIDE = {
    "absent", "completed", "ready", "register", "-v", "--check --diff", "status", "results", "execution", "cmd", "version", "\"0.1\"",
    "meta.name", "meta.system_resources", "localnet", "wallet.address", *SPECS,
}  # fmt: skip


@pytest.mark.parametrize("name", THEIRS)
def test_every_option_of_theirs_stands_beside_what_it_is_here(name: str) -> None:
    first = {word for row in rows(page(name)) for told in words(row[0]) for word in told.split()}
    assert set(THEIRS[name].split()) <= first


@pytest.mark.parametrize("name", THEIRS)
def test_every_option_of_ours_that_is_named_exists(name: str) -> None:
    named = {word for row in rows(page(name)) for word in words(row[1])}
    named = {word for word in named if not re.search(r"[ ({]", word) or word in BESIDE} - {"--check --diff"}
    assert {word for word in named if word not in OPTIONS and word not in BESIDE} == set()


@pytest.mark.parametrize("name", THEIRS)
def test_every_option_of_nosana_job_is_named(name: str) -> None:
    """Connection options that no other tool has are left to the page of variables."""
    named = set(words(page(name)))
    left = {"ipfs_api_url", "ipfs_gateway_url", "api_url", "node_domain"}
    missing = set(SPECS["nosana_job"]) - named - left
    assert missing <= ({"ipfs_jwt", "env", "expose", "purge", "wait_for_completion", "wait_sleep"} if name == "cli" else set())
