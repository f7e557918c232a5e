"""The inventory plugin as Ansible runs it, with the tasks of the modules replaced."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleError
from ansible.inventory.data import InventoryData
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import inventory_loader
from ansible.template import is_trusted_as_template

from ansible_collections.nosana.compute.plugins.module_utils._ansible.tasks import TaskResult
from ansible_collections.nosana.compute.plugins.module_utils._clients.errors import Unreachable
from ansible_collections.nosana.compute.plugins.plugin_utils import _tasks

WALLET = "3cKVqBZC5VS8ZZQZxQ8M4g2J2h4dTgFz7s7dVbGkX6tZ"
URL = "https://2Q8rNYKwxEcQK2vrouiKsqNUkk6noR5tvNqWJ4kLymtV.node.k8s.prd.nos.ci"


def job(name: str | None, address: str, status: str = "running", **more: Any) -> dict[str, Any]:
    return {"address": address, "name": name, "status": status, "services": [], "time_ended": None, **more}


def market(slug: str, *hosts: str) -> dict[str, Any]:
    known = {"name": slug.upper(), "type": "PREMIUM", "gpu_types": ["RTX"], "min_vram_gb": 8.0}
    return {"slug": slug, "address": f"at-{slug}", "price_per_hour_nos": "0.1", "price_per_hour_usd": None, "hosts": list(hosts), **known}


@dataclass
class Net:
    """What the tasks find, and with which options they were asked."""

    jobs: list[dict[str, Any]] = field(default_factory=list)
    markets: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    failure: Exception | None = None
    incomplete: bool = False
    asked: list[dict[str, Any]] = field(default_factory=list)

    async def job_info(self, params: dict[str, Any], **_more: Any) -> TaskResult:
        self.asked.append(params)
        if self.failure:
            raise self.failure
        return TaskResult({"changed": False, "jobs": self.jobs}, self.warnings, incomplete=self.incomplete)

    async def market_info(self, params: dict[str, Any]) -> TaskResult:
        self.asked.append(params)
        return TaskResult({"changed": False, "markets": self.markets})


@pytest.fixture
def net(monkeypatch: pytest.MonkeyPatch) -> Net:
    made = Net()
    monkeypatch.setattr(_tasks, "job_info_task", made.job_info)
    monkeypatch.setattr(_tasks, "market_info_task", made.market_info)
    monkeypatch.setenv("NOSANA_WALLET", WALLET)
    return made


@dataclass
class Source:
    """An inventory file. parse() is one run of Ansible that reads it."""

    path: Path

    def parse(self, *, flush: bool = False, extra: dict[str, Any] | None = None, **options: Any) -> InventoryData:
        self.path.write_text(json.dumps({"plugin": "nosana.compute.nosana", **options}), encoding="utf-8")
        plugin, inventory = inventory_loader.get("nosana.compute.nosana"), InventoryData()
        assert plugin.verify_file(str(self.path))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("ansible.plugins.inventory.load_extra_vars", lambda _loader: extra or {})
            plugin.parse(inventory, DataLoader(), str(self.path), cache=not flush)
        if options.get("cache"):
            plugin.update_cache_if_changed()
        inventory.reconcile_inventory()
        return inventory


@pytest.fixture
def source(tmp_path: Path) -> Source:
    return Source(tmp_path / "x.nosana.yml")


def variables(inventory: InventoryData, host: str) -> dict[str, Any]:
    return dict(inventory.hosts[host].vars)


def names(inventory: InventoryData, group: str = "nosana_jobs") -> list[str]:
    return [host.name for host in inventory.groups[group].hosts]


# --- what a host is --------------------------------------------------------------------------------------------------


def test_the_variables_of_a_job(net: Net, source: Source) -> None:
    net.jobs = [job("web", "A1", services=[{"op": "one", "port": 80, "url": f"{URL}:8899"}]), job("batch", "A2")]
    inventory = source.parse()
    web = variables(inventory, "web")
    assert (web["nosana_resource"], web["nosana_name"], web["nosana_address"], web["nosana_status"]) == ("job", "web", "A1", "running")
    assert web["nosana_services"][0]["url"] == f"{URL}:8899"
    assert web["ansible_host"] == URL.removeprefix("https://").lower()
    assert (web["ansible_connection"], web["ansible_python_interpreter"]) == ("local", "{{ ansible_playbook_python }}")
    assert is_trusted_as_template(web["ansible_python_interpreter"])
    assert "ansible_host" not in variables(inventory, "batch")
    assert names(inventory) == ["web", "batch"]
    assert [group.name for group in inventory.groups["nosana"].child_groups] == ["nosana_jobs"]


def test_other_names_for_everything(net: Net, source: Source) -> None:
    net.jobs = [job("web", "A1", services=[{"op": "one", "port": 80, "url": URL}])]
    inventory = source.parse(hostvars_prefix="n_", group="gpu jobs", connect_with="none")
    assert not [name for name in variables(inventory, "web") if name.startswith(("nosana_", "ansible_"))]
    assert variables(inventory, "web")["n_status"] == "running"
    assert names(inventory, "gpu_jobs_jobs") == ["web"]


def test_what_is_asked_by_default_and_by_option(net: Net, source: Source) -> None:
    source.parse()
    (asked,) = net.asked
    assert (asked["status"], asked["limit"], asked["include"], asked["market"]) == (["pending", "running"], 1000, [], None)
    net.asked.clear()
    source.parse(
        status=[], limit=7, include=["cost"], markets=["nvidia-3060", "nvidia-4090"], network="devnet", rpc_url="https://a,https://b"
    )
    assert [asked["market"] for asked in net.asked] == ["nvidia-3060", "nvidia-4090"]
    assert (net.asked[0]["status"], net.asked[0]["limit"], net.asked[0]["include"]) == (None, 7, ["cost"])
    assert (net.asked[0]["network"], net.asked[0]["rpc_url"]) == ("devnet", ["https://a", "https://b"])


def test_an_empty_variable_counts_as_unset(net: Net, source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NETWORK", "RPC_URL", "IPFS_JWT", "NODE_DOMAIN"):
        monkeypatch.setenv(f"NOSANA_{name}", "")
    source.parse()
    assert [net.asked[0][name] for name in ("network", "rpc_url", "ipfs_jwt", "node_domain")] == ["mainnet", None, None, None]


def test_connection_options_may_be_templates(net: Net, source: Source) -> None:
    source.parse(rpc_url="https://{{ place }}.example", extra={"place": "there"})
    assert net.asked[0]["rpc_url"] == ["https://there.example"]


def test_waiting_hosts(net: Net, source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOSANA_WALLET")
    net.markets = [market("cheap", "H1", "H2"), market("dear", "H3"), market("empty")]
    inventory = source.parse(resources=["hosts"], network="devnet", keyed_groups=[{"key": "nosana_market_slug", "prefix": "in"}])
    assert [asked["include"] for asked in net.asked] == [["hosts"]]
    assert names(inventory, "nosana_hosts") == ["H1", "H2", "H3"]
    assert names(inventory, "in_dear") == ["H3"]
    host = variables(inventory, "H3")
    assert (host["nosana_status"], host["nosana_market"], host["nosana_market_name"]) == ("waiting", "at-dear", "DEAR")
    assert (host["nosana_gpu_types"], host["nosana_price_per_hour_nos"]) == (["RTX"], "0.1")
    assert (host["nosana_url"], host["ansible_host"]) == ("https://H3.node.k8s.dev.nos.ci", "h3.node.k8s.dev.nos.ci")
    assert names(source.parse(resources=["hosts"], markets=["at-dear", "empty"]), "nosana_hosts") == ["H3"]
    with pytest.raises(AnsibleError, match="There is no market nowhere; nosana_market_info lists"):
        source.parse(resources=["hosts"], markets=["nowhere"])


def test_jobs_and_hosts_together(net: Net, source: Source) -> None:
    net.jobs, net.markets = [job("web", "A1")], [market("cheap", "H1")]
    inventory = source.parse(resources=["jobs", "hosts"])
    assert (names(inventory), names(inventory, "nosana_hosts")) == (["web"], ["H1"])


# --- names -----------------------------------------------------------------------------------------------------------


def test_of_several_jobs_of_a_name_the_first_has_it(net: Net, source: Source) -> None:
    net.jobs = [job("web", "A1"), job("web", "A2", "failed"), job(None, "A3"), job("", "A4")]
    inventory = source.parse()
    assert [(name, variables(inventory, name)["nosana_address"]) for name in names(inventory)] == [
        ("web", "A1"),
        ("A2", "A2"),
        ("A3", "A3"),
        ("A4", "A4"),
    ]


@pytest.mark.parametrize(
    ("name", "host"),
    [
        ("my job", "my_job"),
        ("a[1:3]", "a_1_3_"),
        ("{{ x }}", "___x___"),
        ("a,b:!c&d", "a_b__c_d"),
        ("größe-1.5", "größe-1.5"),
        ("localhost", "A1"),
        ("all", "A1"),
        ("...", "A1"),
        ("x" * 300, "x" * 253),
        ("a\x1b[31mb\nc", "ab_c"),
    ],
)
def test_a_name_that_means_nothing_to_ansible(net: Net, source: Source, name: str, host: str) -> None:
    net.jobs = [job(name, "A1")]
    assert names(source.parse()) == [host]


def test_hostnames_are_tried_one_after_the_other(net: Net, source: Source) -> None:
    net.jobs = [job("web", "A1"), job(None, "A2"), job("web", "A3")]
    hostnames = ["nosana_missing", "nosana_name ~ '-' ~ nosana_status if nosana_name", "nosana_address"]
    assert names(source.parse(hostnames=hostnames)) == ["web-running", "A2", "A3"]
    with pytest.raises(AnsibleError, match="The host name 'nosana_missing' cannot be evaluated for A1: 'nosana_missing' is undefined"):
        source.parse(hostnames=hostnames, strict=True)


# --- choosing --------------------------------------------------------------------------------------------------------


def test_names_by_pattern(net: Net, source: Source) -> None:
    net.jobs = [job("web-1", "A1"), job("web-2", "A2"), job("batch", "A3"), job(None, "A4")]
    assert names(source.parse(names=["web-*", "b?tch"])) == ["web-1", "web-2", "batch"]


def test_the_first_filter_that_is_true_decides(net: Net, source: Source) -> None:
    net.jobs = [job("keep", "A1", "failed"), job("drop", "A2", "failed"), job("other", "A3")]
    filters = [{"include": "nosana_name == 'keep'"}, {"exclude": "nosana_status == 'failed'"}]
    assert names(source.parse(filters=filters)) == ["keep", "other"]
    assert names(
        source.parse(filters=[{"include": "nosana_status == wished"}, {"exclude": True}], use_extra_vars=True, extra={"wished": "failed"})
    ) == [
        "keep",
        "drop",
    ]


def test_what_is_made_of_the_variables(net: Net, source: Source) -> None:
    net.jobs = [job("web", "A1", services=[{"op": "one", "port": 80, "url": URL}]), job("batch", "A2", "pending")]
    inventory = source.parse(
        compose={"service_url": "nosana_services[0].url", "ansible_host": "'elsewhere'"},
        groups={"reachable": "nosana_services | length > 0"},
        keyed_groups=[{"key": "nosana_status", "prefix": "status"}],
    )
    assert variables(inventory, "web")["service_url"] == URL
    assert variables(inventory, "web")["ansible_host"] == "elsewhere"
    assert "service_url" not in variables(inventory, "batch")
    assert (names(inventory, "reachable"), names(inventory, "status_pending")) == (["web"], ["batch"])


# --- the cache -------------------------------------------------------------------------------------------------------


def test_a_hit_asks_nothing(net: Net, source: Source, tmp_path: Path) -> None:
    caching = {"cache": True, "cache_plugin": "ansible.builtin.jsonfile", "cache_connection": str(tmp_path / "cache")}
    net.jobs = [job("web", "A1"), job("{{ lookup('pipe', 'id') }}", "A2")]
    first = source.parse(**caching)
    assert len(net.asked) == 1
    net.failure = Unreachable("Nobody is asked.")
    second = source.parse(**caching)
    assert names(second) == names(first)
    assert [variables(second, name) for name in names(second)] == [variables(first, name) for name in names(first)]
    assert not is_trusted_as_template(variables(second, names(second)[1])["nosana_name"])
    # What is made of what was read needs no reading.
    assert names(source.parse(**caching, names=["web"], hostnames=["'the-' ~ nosana_name"])) == ["the-web"]
    assert len(net.asked) == 1


def test_the_cache_is_not_used_for_other_options_or_when_it_is_flushed(net: Net, source: Source, tmp_path: Path) -> None:
    caching = {"cache": True, "cache_plugin": "ansible.builtin.jsonfile", "cache_connection": str(tmp_path / "cache")}
    source.parse(**caching)
    source.parse(**caching, network="devnet")
    source.parse(**caching, status=["failed"])
    assert len(net.asked) == 3
    net.jobs = [job("web", "A1")]
    assert names(source.parse(**caching)) == []
    assert names(source.parse(**caching, flush=True)) == ["web"]
    assert names(source.parse(**caching)) == ["web"]
    assert len(net.asked) == 4


def test_nothing_secret_is_kept(net: Net, source: Source, tmp_path: Path) -> None:
    net.jobs = [job("web", "A1", message="the token is planted-secret-1234")]
    caching = {"cache": True, "cache_plugin": "ansible.builtin.jsonfile", "cache_connection": str(tmp_path / "cache")}
    source.parse(**caching, ipfs_jwt="planted-secret-1234", rpc_url="https://node.example/?api-key=planted-secret-5678")
    (kept,) = (tmp_path / "cache").iterdir()
    assert "********" in kept.read_text(encoding="utf-8")
    assert "planted" not in kept.read_text(encoding="utf-8") + kept.name


def test_what_is_incomplete_is_a_warning_or_an_error_and_never_kept(
    net: Net, source: Source, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    caching = {"cache": True, "cache_plugin": "ansible.builtin.jsonfile", "cache_connection": str(tmp_path / "cache")}
    net.jobs, net.incomplete, net.warnings = [job(None, "A1")], True, ["The definition Qm of the job A1 could not be read from IPFS."]
    assert names(source.parse(**caching)) == ["A1"]
    assert "could not be read from IPFS" in " ".join(capsys.readouterr().err.split())
    with pytest.raises(AnsibleError, match="Not all definitions could be read from IPFS, and strict_fetch does not allow that"):
        source.parse(**caching, strict_fetch=True)
    net.incomplete = False
    source.parse(**caching)
    assert len(net.asked) == 3


# --- untrusted values ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    ["{{ lookup('pipe', 'id') }}", "{% set x = 1 %}", "lookup('pipe', 'id')", "x | bool", "a[0]", "{# #}", "a\n# b"],
)
def test_no_value_is_ever_a_template_or_a_call(net: Net, source: Source, text: str) -> None:
    net.jobs = [job("web", "A1", message=text, ops=[{"op": text}])]
    found = variables(source.parse(compose={"copied": "nosana_message", "joined": "'is ' ~ nosana_message"}), "web")
    assert [found[name] for name in ("nosana_message", "copied", "joined")] == [text, text, f"is {text}"]
    values = [found["nosana_message"], found["nosana_ops"][0]["op"], found["copied"], found["joined"]]
    assert not any(is_trusted_as_template(value) for value in values)


def test_harmless_values_are_plain_in_what_ansible_prints(net: Net, source: Source) -> None:
    from ansible._internal._json._profiles import _inventory_legacy

    net.jobs = [job("web", "A1", message="Every op succeeded.", services=[{"op": "one", "port": 80, "url": URL}])]
    found = variables(source.parse(compose={"service_url": "nosana_services[0].url"}), "web")
    assert "__ansible_unsafe" not in json.dumps({"_meta": {"hostvars": {"web": found}}}, cls=_inventory_legacy.Encoder)


def test_control_characters_and_endless_texts(net: Net, source: Source) -> None:
    net.jobs = [job("web", "A1", message="a\x1b[2Jb\x00c\u202ed", ops=[{"op": "x" * 100_000}])]
    found = variables(source.parse(), "web")
    assert found["nosana_message"] == "abcd"
    assert len(found["nosana_ops"][0]["op"]) == 65_536


# --- bad input -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"statuss": ["running"]}, "The option statuss does not exist; did you mean status?"),
        ({"filters": ["nosana_name == 'web'"]}, "Every entry of filters must be one condition under either include or exclude."),
        ({"filters": [{"include": "true", "exclude": "true"}]}, "Every entry of filters must be one condition"),
        ({"filters": [{"exclude": "nosana_missing"}]}, "The filter 'nosana_missing' cannot be evaluated for A1: "),
        ({"filters": [{"exclude": "nosana_name"}]}, "The filter 'nosana_name' cannot be evaluated for A1: "),
        ({"network": "testnet"}, "value of network must be one of: mainnet, devnet, localnet, got: testnet."),
        ({"rpc_url": "{{ nowhere }}"}, "The template in rpc_url cannot be evaluated "),
        ({"rpc_url": {"key": "planted-secret"}}, "rpc_url"),
        ({"status": ["done"]}, "status"),
        ({"limit": "many"}, "limit"),
        ({"resources": ["jobs", "markets"]}, "resources"),
    ],
)
def test_one_sentence(net: Net, source: Source, options: dict[str, Any], sentence: str) -> None:
    net.jobs = [job("web", "A1")]
    with pytest.raises(AnsibleError) as caught:
        source.parse(**options)
    assert sentence in str(caught.value)
    assert "planted" not in str(caught.value)


def test_errors_of_the_network(net: Net, source: Source) -> None:
    net.failure = Unreachable("No answer from the Solana RPC node at planted-secret-1234.example.")
    with pytest.raises(AnsibleError) as caught:
        source.parse(ipfs_jwt="planted-secret-1234")
    assert str(caught.value) == "No answer from the Solana RPC node at ********.example."
    net.failure = RuntimeError("planted-secret")
    with pytest.raises(
        AnsibleError, match=r"failed in a way that it should not \(RuntimeError at test_inventory\.py:\d+\); please report it"
    ) as caught:
        source.parse()
    assert "planted" not in str(caught.value)


@pytest.mark.parametrize("wallet", [list(range(64)), {"seed": "planted-secret"}, "planted-secret", 7])
def test_a_wallet_that_is_none_is_not_quoted(source: Source, wallet: Any) -> None:
    with pytest.raises(AnsibleError) as caught:
        source.parse(wallet=wallet)
    assert "planted" not in str(caught.value)
    assert "62, 63" not in str(caught.value)


def test_no_wallet(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOSANA_WALLET", "")
    with pytest.raises(AnsibleError) as caught:
        source.parse()
    assert str(caught.value) == "wallet is missing: give the path of a key file, or set NOSANA_WALLET."


@pytest.mark.parametrize(("name", "fits"), [("nosana.yml", True), ("a.nosana.yaml", True), ("nosana.yml.bak", False), ("hosts.yml", False)])
def test_the_name_of_the_file(tmp_path: Path, name: str, fits: bool) -> None:
    (tmp_path / name).write_text("plugin: nosana.compute.nosana\n", encoding="utf-8")
    assert inventory_loader.get("nosana.compute.nosana").verify_file(str(tmp_path / name)) is fits
