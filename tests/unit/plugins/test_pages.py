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
import yaml

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


FILES = [
    ast.parse(file.read_text(encoding="utf-8")) for place in ("plugins", "extensions") for file in sorted((ROOT / place).rglob("*.py"))
]
NODES = [node for file in FILES for node in ast.walk(file)]


def text_of(node: ast.AST) -> str | None:
    """A text of the code, with … where a value is put in."""
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


class Loader(yaml.SafeLoader):
    """Takes tags such as !unsafe."""


Loader.add_multi_constructor("!", lambda loader, _tag, node: loader.construct_scalar(node))


def told(tasks: Any) -> Iterator[str]:
    """What tasks fail with, with … where a value is put in; a sentence may stand in a variable of the task."""
    if isinstance(tasks, dict) and "ansible.builtin.fail" in tasks:
        texts = [tasks["ansible.builtin.fail"]["msg"], *(text for text in tasks.get("vars", {}).values() if text.endswith("."))]
    else:
        texts = [tasks["fail_msg"]] if isinstance(tasks, dict) and "fail_msg" in tasks else []
    yield from (re.sub(r"\{\{.*?\}\}", "…", text, flags=re.DOTALL) for text in texts)
    for part in tasks.values() if isinstance(tasks, dict) else tasks if isinstance(tasks, list) else ():
        yield from told(part)


TOLD = [
    sentence
    for place in ("roles", "playbooks")
    for file in sorted((ROOT / place).rglob("*.yml"))
    for sentence in told(yaml.load(file.read_text(encoding="utf-8"), Loader))
]
ALL_SENTENCES = [text for node in NODES if (text := text_of(node)) is not None] + TOLD


def subclasses(kind: type[errors.NosanaError]) -> Iterator[type[errors.NosanaError]]:
    for each in kind.__subclasses__():
        yield each
        yield from subclasses(each)


def said(heading: str) -> bool:
    """Whether a sentence of the code has all the words of the heading, in their order; where it puts in a value, the heading has …."""
    parts = [part.strip() for part in heading.split("…") if len(part.strip(" .,;:()")) > 1]
    pattern = re.compile(".*".join(map(re.escape, parts)), re.DOTALL)
    return bool(parts) and any(pattern.search(sentence) for sentence in ALL_SENTENCES)


LISTED = re.findall(r"^### (.+)$", page("troubleshooting"), re.MULTILINE) + [row[0] for row in rows(page("troubleshooting"))]
# Said to nobody: caught where it was raised, a fault of ours, or the frame around another sentence.
UNHEARD = {
    "The node has no PubSub.",
    "The library websockets is not installed.",
    "It is another run's turn.",
    "A job can only be posted from a declaration.",
    "….",
    "…",
    "… (…) is …: …",
}


def failures() -> Iterator[str]:
    """What is raised, warned of, or failed with."""
    names = {kind.__name__ for kind in subclasses(errors.NosanaError)} | {"NosanaError", "failure", "_failure", "_Unconfirmed"}
    names |= {"AnsibleParserError", "AnsibleLookupError", "AnsibleFilterError", "EventSourceError", "NosanaJobsError"}
    warns = {"append", "add", "warn", "warning", "_display"}
    for node in NODES:
        if isinstance(node, ast.Call) and node.args and (text := text_of(node.args[0])) is not None:
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in names or (name in warns and len(text.split()) > 4):
                yield text
    yield from TOLD


def is_listed(sentence: str) -> bool:
    """Whether the page has it: most of its words in their order, or how it begins and then …."""
    fixed = len(sentence.replace("…", ""))
    for entry in LISTED:
        for shown in (entry, entry.replace("Solana RPC node", "…")):
            parts = [part.strip() for part in shown.split("…") if part.strip()]
            begins = shown.endswith("…") and sentence.startswith(parts[0])
            if (begins or sum(map(len, parts)) > 0.7 * fixed) and re.search(".*".join(map(re.escape, parts)), sentence, re.DOTALL):
                return True
    return False


def test_every_sentence_of_the_code_is_on_the_page() -> None:
    found = set(failures()) - UNHEARD
    assert len(found) > 150
    assert sorted(sentence for sentence in found if not is_listed(sentence)) == []


def test_a_sentence_that_the_page_does_not_have_is_noticed() -> None:
    assert is_listed("The … refuses …: … (…).")
    assert not is_listed("The … refuses to work on Sundays (…).")


@pytest.mark.parametrize("heading", LISTED)
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
    # The CLI's options and commands.
    "cli": """--network -n --rpc --wallet -w --api --format --verbose --log --version --market -m --timeout -t --file -f --url --image -i --gpu
        --host -h --wait --download --confidential --type --output -o --airdrop --no-airdrop --limit --offset --state --node --poster --payer
        --time-start --time-end --group-by --time-series-interval --use-multiplier --skip-cache -p -c --op --ttl --proxy-host --proxy-port
        --ssh-command --node-url --insecure-skip-host-key-check address get list stop extend upload download validate serve ssh
        start run view prune join SOLANA_WALLET""",
}
# What stands in our column beside options: values, results, keys of the definition, modules and ways of Ansible.
BESIDE = {
    "absent", "completed", "ready", "register", "-v", "--check --diff", "status", "result_url", "results", "execution", "cmd", "version", "\"0.1\"",
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
def test_every_option_of_ours_is_named(name: str) -> None:
    """The provider has one resource, which is nosana_job; the CLI reads jobs, markets and wallets, too."""
    named = {word for row in rows(page(name)) for cell in row[1:] for word in words(cell)}
    ours = set(SPECS["nosana_job"]) if name == "terraform" else {option for spec in SPECS.values() for option in spec}
    assert ours - named == set()
