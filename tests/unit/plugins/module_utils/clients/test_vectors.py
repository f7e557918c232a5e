"""Vectors made with the network's own npm packages: instruction bytes, accounts, addresses, CIDs, URLs, tokens, fees, definitions."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from solders.keypair import Keypair

from ansible_collections.nosana.compute.plugins.module_utils._clients import program
from ansible_collections.nosana.compute.plugins.module_utils._clients.errors import InvalidDefinition, InvalidInput, UnexpectedAnswer
from ansible_collections.nosana.compute.plugins.module_utils._clients.ipfs import bytes_to_cid, cid_of, cid_to_bytes, encode_document
from ansible_collections.nosana.compute.plugins.module_utils._clients.networks import NETWORKS
from ansible_collections.nosana.compute.plugins.module_utils._clients.node import authorization, service_urls
from ansible_collections.nosana.compute.plugins.module_utils._clients.transaction import priority_fee
from ansible_collections.nosana.compute.plugins.module_utils._jobs.definition import check

FIXTURES = next(parent for parent in Path(__file__).parents if (parent / "fixtures").is_dir()) / "fixtures"
VECTORS: dict[str, Any] = json.loads((FIXTURES / "nosana-vectors.json").read_text(encoding="utf-8"))
PERCENTILES = {"low": 25, "medium": 50, "high": 75}


def name_of(case: dict[str, Any]) -> str:
    return str(case["name"])


@pytest.mark.parametrize("kind", [("instructions", "global"), ("accounts", "account")], ids=str)
def test_discriminators(kind: tuple[str, str]) -> None:
    section, prefix = kind
    for name, entry in VECTORS["discriminators"][section].items():
        assert program.discriminator(prefix, name).hex() == entry["hex"]


@pytest.mark.parametrize("case", VECTORS["instructions"]["cases"], ids=name_of)
def test_instructions(case: dict[str, Any]) -> None:
    network = NETWORKS["mainnet"]
    given = [account["address"] for account in case["accounts"]]
    name = case["name"].split()[0]
    if case["name"].startswith("compute budget"):
        make = program.set_compute_unit_price if "price" in case["name"] else program.set_compute_unit_limit
        built = make(int(case["name"].split()[-1]))
    elif case["name"].startswith("create NOS ATA"):
        built = program.Program(network).create_token_account_idempotent(payer=given[0], owner=given[2])
    else:
        words = [word.partition(":")[0] for word in program.INSTRUCTIONS[name].split()]
        data = bytes.fromhex(case["data_hex"])[8:]
        assert len(words) == len(given)
        built = program.Program(network).instruction(name, dict(zip(words, given, strict=True)), data)
    assert bytes(built.data).hex() == case["data_hex"]
    assert str(built.program_id) == case["program"]
    assert [str(meta.pubkey) for meta in built.accounts] == given
    roles = [("writable" if meta.is_writable else "readonly") + ("+signer" if meta.is_signer else "") for meta in built.accounts]
    assert roles == [account["role"] for account in case["accounts"]]


def test_the_builders_that_the_collection_uses_derive_every_account() -> None:
    keys, cases = VECTORS["instructions"]["addresses"], {case["name"]: case for case in VECTORS["instructions"]["cases"]}
    builder = program.Program(NETWORKS["mainnet"])
    ipfs_job = cid_to_bytes(cases["list"]["args"]["ipfs_job_cid"])
    ours = {"job": keys["job"], "market": keys["market"], "payer": keys["wallet"], "project": keys["wallet"]}
    post = ours | {"run": keys["run"], "ipfs_job": ipfs_job, "timeout_seconds": cases["list"]["args"]["timeout"]}
    built = {
        "list": builder.list_job(**post),
        "assign": builder.assign(**post, node=keys["node"]),
        "extend": builder.extend(**ours, timeout_seconds=cases["extend"]["args"]["timeout"]),
        "delist": builder.delist(**ours),
        "recover": builder.recover(**ours),
        "end": builder.end(
            job=keys["job"],
            market=keys["market"],
            run=keys["run"],
            run_payer=keys["wallet"],
            job_payer=keys["wallet"],
            node=keys["node"],
            project=keys["wallet"],
        ),
    }
    for name, instruction in built.items():
        assert bytes(instruction.data).hex() == cases[name]["data_hex"], name
        assert [str(meta.pubkey) for meta in instruction.accounts] == [account["address"] for account in cases[name]["accounts"]], name


@pytest.mark.parametrize("case", VECTORS["accounts"]["cases"], ids=name_of)
def test_accounts(case: dict[str, Any]) -> None:
    data, want = bytes.fromhex(case["data_hex"]), case["decoded"]
    kind = case["name"].split()[0]
    decode: Any = {"JobAccount": program.decode_job, "RunAccount": program.decode_run, "MarketAccount": program.decode_market}[kind]
    have = decode(data)
    assert decode(data + bytes(7)) == have  # accounts are longer than their data
    for short in (data[:-1], data[:8], b""):
        with pytest.raises(UnexpectedAnswer):
            decode(short)
    if kind == "JobAccount":
        assert (have.ipfs_job.hex(), have.market, have.payer, have.project) == (
            want["ipfsJob"],
            want["market"],
            want["payer"],
            want["project"],
        )
        assert (have.ipfs_result or bytes(32)).hex() == want["ipfsResult"]
        assert (have.node or "1" * 32) == want["node"]
        assert [have.price, have.state, have.time_end, have.time_start, have.timeout_seconds] == [
            int(want[key]) for key in ("price", "state", "timeEnd", "timeStart", "timeout")
        ]
    elif kind == "RunAccount":
        assert (have.job, have.node, have.payer) == (want["job"], want["node"], want["payer"])
        assert (have.state, have.time_start) == (int(want["state"]), int(want["time"]))
    else:
        assert (have.authority, have.vault, have.node_access_key) == (want["authority"], want["vault"], want["nodeAccessKey"])
        assert list(have.queue) == want["queue"]
        assert [have.job_expiration_seconds, have.job_price, have.job_timeout_seconds, have.job_type, have.vault_bump, have.queue_type] == [
            int(want[key]) for key in ("jobExpiration", "jobPrice", "jobTimeout", "jobType", "vaultBump", "queueType")
        ]


def test_a_queue_longer_than_its_account_is_not_believed() -> None:
    market = bytearray(bytes.fromhex(next(case for case in VECTORS["accounts"]["cases"] if "Market" in case["name"])["data_hex"]))
    market[147:151] = b"\xff\xff\xff\xff"
    with pytest.raises(UnexpectedAnswer):
        program.decode_market(bytes(market))


@pytest.mark.parametrize("entry", VECTORS["pdas"]["entries"], ids=lambda entry: f"{entry['network']} {entry['kind']}")
def test_derived_addresses(entry: dict[str, Any]) -> None:
    seeds = [value.encode() if kind == "utf8" else value for kind, _colon, value in (seed.partition(":") for seed in entry["seeds"])]
    assert program.derived_address(seeds, entry["program"]) == entry["address"]


@pytest.mark.parametrize("case", VECTORS["cids"]["documents"], ids=name_of)
def test_documents_and_their_cids(case: dict[str, Any]) -> None:
    assert encode_document(case["document"]).decode() == case["json"]
    assert cid_of(case["json"].encode()) == case["cid"]
    assert cid_to_bytes(case["cid"]).hex() == case["bytes32_hex"]


def test_cids_and_bytes() -> None:
    for pair in VECTORS["cids"]["pairs"]:
        assert cid_to_bytes(pair["cid"]).hex() == pair["bytes32_hex"]
        assert bytes_to_cid(bytes.fromhex(pair["bytes32_hex"])) == pair["cid"]
    for entry in VECTORS["cids"]["invalid"]:
        with pytest.raises(InvalidInput):
            cid_to_bytes(entry["input"])


SERVICES = [(VECTORS["service_urls"]["job"], case) for case in VECTORS["service_urls"]["cases"]] + [
    (VECTORS["service_urls"]["second_job"]["job"], case) for case in VECTORS["service_urls"]["second_job"]["cases"]
]


@pytest.mark.parametrize(("job", "case"), SERVICES, ids=lambda value: value["name"] if isinstance(value, dict) else "")
def test_service_urls(job: str, case: dict[str, Any]) -> None:
    for network in ("mainnet", "devnet"):
        domain = NETWORKS[network].node_domain
        assert [
            (service.op_index, service.op_id, service.port, service.url) for service in service_urls(case["definition"], job, domain)
        ] == [(want["opIndex"], want["opId"], want["port"], f"https://{want['hash']}.{domain}") for want in case["services"]]


def test_tokens() -> None:
    authority = VECTORS["authorization"]
    wallet = Keypair.from_seed(bytes.fromhex(authority["seed_hex"]))
    assert str(wallet.pubkey()) == authority["public_key"]
    for token in authority["tokens"]:
        assert authorization(token["message"], wallet) == token["token"]
    timed = authority["with_time_example"]
    assert authorization(timed["message"], wallet, time_ms=timed["time_ms"]) == timed["token"]


DYNAMIC_FEES = [case for case in VECTORS["priority_fees"]["cases"] if case["config"]["type"] == "dynamic"]


@pytest.mark.parametrize("case", DYNAMIC_FEES, ids=lambda case: json.dumps(case["config"]))
def test_priority_fees(case: dict[str, Any]) -> None:
    config, recent = case["config"], case["recent_fees"]
    percentile = config.get("percentile", PERCENTILES[config.get("strategy", "medium")])
    fee = priority_fee(
        [] if recent == "throw" else recent, percentile=percentile, lowest=config.get("min", 0), highest=config.get("max", 2**63)
    )
    assert str(fee) == case["micro_lamports"]


@pytest.mark.parametrize("case", VECTORS["costs"]["cases"], ids=str)
def test_costs(case: dict[str, Any]) -> None:
    price, timeout, start, end = (case[key] for key in ("price", "timeout", "time_start", "time_end"))
    assert program.deposit(price, timeout) == case["deposit"]
    assert program.paid(price, start, end, timeout) == case["paid_to_node"]
    assert program.refund(price, start, end, timeout) == case["refund"]
    assert program.network_fee(case["deposit"], 0) == case["fee_fraction_0"]
    assert program.network_fee(case["deposit"], 10) == case["fee_fraction_10"]


@pytest.mark.parametrize("case", VECTORS["validation"]["cases"], ids=name_of)
def test_definitions(case: dict[str, Any]) -> None:
    if case["valid"]:
        check(case["document"])
        return
    with pytest.raises(InvalidDefinition) as caught:
        check(case["document"])
    assert [issue["path"] for issue in caught.value.details["issues"]] == [error["path"] for error in case["errors"]]
    assert case["errors"][0]["path"] in str(caught.value)
