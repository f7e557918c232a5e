"""nosana: the jobs of a wallet, and the hosts that wait in markets, as an inventory."""
# Copyright (c) 2026, The nosana.compute contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: nosana
short_description: Jobs on the Nosana network as an inventory
version_added: 0.1.0
description:
  - Makes a host of every job of a wallet, and of every host of the Nosana network that waits for a job in a market.
  - The file has to end in C(nosana.yml) or C(nosana.yaml).
  - What M(nosana.compute.nosana_job_info) returns about a job are the variables of its host, each with O(hostvars_prefix) in front,
    such as C(nosana_status), C(nosana_address) or C(nosana_services). C(nosana_resource) is V(job) or V(host).
  - The variables of a waiting host are C(nosana_address), C(nosana_status) (V(waiting)), C(nosana_url), C(nosana_market),
    C(nosana_market_slug), C(nosana_market_name), C(nosana_market_type), C(nosana_gpu_types), C(nosana_min_vram_gb),
    C(nosana_price_per_hour_nos) and C(nosana_price_per_hour_usd), with the meanings of M(nosana.compute.nosana_market_info).
  - All values come from the chain, from IPFS and from hosts, so none of them is ever taken for a template.
author:
  - The nosana.compute contributors (@nosana-ci)
extends_documentation_fragment:
  - nosana.compute._plugin_connection
  - constructed
  - inventory_cache
options:
  plugin:
    description: The name of this plugin.
    type: str
    required: true
    choices: [nosana.compute.nosana]
  resources:
    description:
      - What becomes a host. V(jobs) are the jobs of the wallet. V(hosts) are the hosts that wait for a job, which needs no wallet.
    type: list
    elements: str
    choices: [jobs, hosts]
    default: [jobs]
  status:
    description:
      - Only jobs with one of these statuses. An empty list means all; then the result of every job that is over is read, too.
    type: list
    elements: str
    choices: [pending, running, completed, failed, cancelled]
    default: [pending, running]
  markets:
    description:
      - Only jobs and waiting hosts in these markets, by slug or address. Default is all.
    type: list
    elements: str
    default: []
  names:
    description:
      - Only jobs whose name fits one of these shell patterns, such as V(web-*).
    type: list
    elements: str
    default: []
  limit:
    description:
      - At most so many jobs, of each market if O(markets) are given. Those that are not over come first, then those that ended last.
    type: int
    default: 1000
  include:
    description:
      - What is wanted of a job beside the job itself, as in M(nosana.compute.nosana_job_info).
      - V(definition) is C(nosana_job_definition), with values that look like secrets masked. V(cost) is C(nosana_cost).
    type: list
    elements: str
    choices: [definition, cost]
    default: []
  filters:
    description:
      - Which of the jobs and hosts that were read become hosts of the inventory. The first entry whose condition is true decides; what no
        entry decides is included.
      - A condition that cannot be evaluated is an error.
    type: list
    elements: dict
    suboptions:
      include:
        description: A Jinja condition on the host's variables. What it is true for is included.
        type: str
      exclude:
        description: A Jinja condition on the host's variables. What it is true for is left out.
        type: str
    default: []
  hostnames:
    description:
      - Jinja expressions over the host's variables. The first whose value is not empty, and is not the name of another job or waiting host
        already, names the host. Default is the job's name, then its address.
      - Of several jobs of one name the one that is not over, or else that ended last, has the name.
      - Everything but letters, digits, C(.), C(_) and C(-) is replaced by C(_).
    type: list
    elements: str
    default: []
  hostvars_prefix:
    description:
      - What the names of all variables begin with.
    type: str
    default: nosana_
  group:
    description:
      - The group of everything. Below it are a group of the jobs and one of the waiting hosts, with C(_jobs) and C(_hosts) behind this name.
    type: str
    default: nosana
  connect_with:
    description:
      - Nosana's hosts let nobody in by SSH, so there is nothing that Ansible could connect to.
      - With V(service_url) C(ansible_connection) is V(local), so that tasks run on the controller, in the Python that runs Ansible, and
        C(ansible_host) is the host name of the job's first service, where it has one, or the name of the waiting host's own API.
      - With V(none) none of these variables is set.
      - O(compose) may set other values.
    type: str
    choices: [service_url, none]
    default: service_url
  strict_fetch:
    description:
      - V(true) makes it an error when a job's definition cannot be read from IPFS. V(false) is content with a warning; then the name and the
        services of the job are not known, and nothing is kept in the cache.
    type: bool
    default: false
notes:
  - With O(cache) nothing at all is asked while the cache holds. C(--flush-cache) and C(meta=refresh_inventory) read again.
  - What was read is cached, not what was made of it, so changes of O(filters), O(hostnames), O(compose) and the like have effect at once.
  - Definitions are read from IPFS once and for all; what is kept of them lies in E(NOSANA_CACHE).
  - In AWX, C(enabled_var=nosana_status) with C(enabled_value=running) enables the jobs that run.
  - Connection options may be templates, which may use extra variables.
  - The chain does not keep when a job was posted. By time O(filters) choose with C(nosana_time_started) and C(nosana_time_ended), which are
    null before.
seealso:
  - module: nosana.compute.nosana_job_info
  - module: nosana.compute.nosana_market_info
"""

EXAMPLES = r"""
# jobs.nosana.yml: what is pending or runs, by its name
plugin: nosana.compute.nosana

---
# Groups such as status_running and op_webserver; the first service as a variable; read again after a minute
plugin: nosana.compute.nosana
keyed_groups:
  - key: nosana_status
    prefix: status
  - key: nosana_services | map(attribute='op') | list
    prefix: op
groups:
  reachable: nosana_status == 'running' and nosana_services | length > 0
compose:
  service_url: (nosana_services | first).url
cache: true
cache_plugin: ansible.builtin.jsonfile
cache_connection: ~/.cache/nosana-inventory
cache_timeout: 60

---
# What failed in the last day, without the tests
plugin: nosana.compute.nosana
status: [failed]
filters:
  - exclude: nosana_name is match('test-')
  - exclude: nosana_time_ended < now().timestamp() - 86400
hostnames:
  - nosana_name ~ '-' ~ nosana_address[:6]
  - nosana_address

---
# Hosts that wait in two markets, by GPU; no wallet needed
plugin: nosana.compute.nosana
resources: [hosts]
markets: [nvidia-3060, nvidia-4090]
keyed_groups:
  - key: nosana_gpu_types
    prefix: gpu
"""

import hashlib
import json
import re
from collections.abc import Mapping
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import urlsplit

from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable, Constructable
from ansible.template import trust_as_template

from ansible_collections.nosana.compute.plugins.module_utils._ansible.options import connection_spec
from ansible_collections.nosana.compute.plugins.module_utils._clients.node import host_url
from ansible_collections.nosana.compute.plugins.plugin_utils._tasks import Tasks, jobs, markets, node_domain

Row = dict[str, Any]

# What decides what is read; everything else is made of it afterwards.
_READING = ("resources", "status", "markets", "limit", "include", *connection_spec())
_OF_MARKETS = ("name", "type", "slug")
_NOT_IN_A_NAME = re.compile(r"[^\w.-]")
_MOST_CHARACTERS = 253
# A text of these is no template and, taken for an expression, calls nothing.
_HARMLESS = re.compile(r"[\w .,:;/@+=-]*\Z")
# Names that mean something to Ansible itself.
_RESERVED = frozenset({"all", "ungrouped", "localhost", "127.0.0.1", "::1"})


class InventoryModule(BaseInventoryPlugin, Constructable, Cacheable):  # type: ignore[misc]
    """The inventory plugin."""

    NAME = "nosana.compute.nosana"

    def verify_file(self, path: str) -> bool:
        """Whether the file is this plugin's, by its name."""
        return bool(super().verify_file(path)) and path.endswith(("nosana.yml", "nosana.yaml"))

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        """Fills the inventory. cache: whether what an earlier run has kept may be used."""
        super().parse(inventory, loader, path, cache)
        self._check(self._read_config_data(path))
        self._add([row for row in self._rows(path, cache) if self._is_wanted(row)])

    def _check(self, config: Mapping[str, Any]) -> None:
        """Ansible ignores an option that does not exist, and so a filter with a slip of the pen; and it does not look into lists."""
        known = self.get_options()
        for name in config:
            if name not in known:
                near = get_close_matches(str(name), known, 1)
                raise AnsibleParserError(
                    f"The option {name} does not exist{f'; did you mean {near[0]}?' if near else '.'} "
                    "See ansible-doc -t inventory nosana.compute.nosana"
                )
        for entry in self.get_option("filters"):
            if not isinstance(entry, dict) or len(entry) != 1 or not set(entry) <= {"include", "exclude"}:
                raise AnsibleParserError("Every entry of filters must be one condition under either include or exclude.")

    # --- reading ------------------------------------------------------------------------------------------------------

    def _rows(self, path: str, use_cache: bool) -> list[Row]:
        """What there is, from the cache if that is allowed and has it."""
        options = self._reading_options()
        if not self.get_option("cache"):
            return self._read(options)[0]
        key = f"{self.get_cache_key(path)}_{_digest(options)}"
        if use_cache:
            try:
                return list(self.cache[key]["rows"])
            except (KeyError, TypeError):  # nothing is kept, it is too old, or it is not ours
                pass
        rows, complete = self._read(options)
        if complete:
            self.cache[key] = {"rows": rows}
        return rows

    def _reading_options(self) -> dict[str, Any]:
        """The options that decide what is read; the connection's may be templates."""
        options = {name: self.get_option(name) for name in _READING}
        self.templar.available_variables = self._vars
        for name in connection_spec():
            try:
                options[name] = self.templar.template(options[name])
            except Exception as error:
                # What Ansible says quotes the value, which may be a key.
                raise AnsibleParserError(f"The template in {name} cannot be evaluated ({type(error).__name__}).") from None
        return options

    def _read(self, options: dict[str, Any]) -> tuple[list[Row], bool]:
        """The jobs and hosts that the network has, and whether everything of them could be read."""
        about_jobs = {name: options[name] for name in ("status", "limit", "include")}
        connection = {name: options[name] for name in connection_spec()}
        wanted: list[str | None] = list(dict.fromkeys(options["markets"])) or [None]
        resources = options["resources"]
        questions = [jobs(**about_jobs, market=market) for market in wanted if "jobs" in resources]
        if "hosts" in resources:
            questions.append(markets(include=["hosts"]))
        answers = Tasks(connection, AnsibleParserError).ask(*questions)
        if self.get_option("strict_fetch") and any(answer.incomplete for answer in answers):
            raise AnsibleParserError("Not all definitions could be read from IPFS, and strict_fetch does not allow that; see the warnings.")
        rows: list[Row] = []
        if "hosts" in resources:
            rows += _waiting_hosts(answers.pop().found, options["markets"], node_domain(connection))
        rows = [{"resource": "job", **job} for answer in answers for job in answer.found] + rows
        return rows, not any(answer.incomplete for answer in answers)

    # --- choosing -----------------------------------------------------------------------------------------------------

    def _is_wanted(self, row: Row) -> bool:
        patterns = self.get_option("names")
        if patterns and row["resource"] == "job" and not any(fnmatchcase(row["name"] or "", pattern) for pattern in patterns):
            return False
        for entry in self.get_option("filters"):
            ((kind, condition),) = entry.items()
            self.templar.available_variables = self._known(self._variables(row))
            try:
                decides = self.templar.evaluate_conditional(condition)
            except Exception as error:
                raise AnsibleParserError(f"The filter {condition!r} cannot be evaluated for {row['address']}: {error}") from None
            if decides:
                return bool(kind == "include")
        return True

    # --- adding -------------------------------------------------------------------------------------------------------

    def _add(self, rows: list[Row]) -> None:
        group = self.inventory.add_group(self._sanitize_group_name(self.get_option("group")))
        for resource in self.get_option("resources"):
            self.inventory.add_child(group, self.inventory.add_group(f"{group}_{resource}"))
        taken = set(_RESERVED)
        for row in rows:
            variables = self._variables(row)
            host = self._name(row, variables, taken)
            taken.add(host)
            self.inventory.add_host(host, f"{group}_{row['resource']}s")
            self._set(host, variables)

    def _set(self, host: str, variables: dict[str, Any]) -> None:
        strict = self.get_option("strict")
        for name, value in variables.items():
            self.inventory.set_variable(host, name, _harmless_trusted(value))
        self._set_composite_vars(self.get_option("compose"), variables, host, strict=strict)
        self._add_host_to_composed_groups(self.get_option("groups"), variables, host, strict=strict)
        self._add_host_to_keyed_groups(self.get_option("keyed_groups"), variables, host, strict=strict)

    def _variables(self, row: Row) -> dict[str, Any]:
        prefix = self.get_option("hostvars_prefix")
        variables = {f"{prefix}{name}": value for name, value in row.items()}
        if self.get_option("connect_with") == "service_url":
            variables |= {"ansible_connection": "local", "ansible_python_interpreter": trust_as_template("{{ ansible_playbook_python }}")}
            address = urlsplit(_url(row)).hostname
            if address:
                variables["ansible_host"] = address
        return variables

    def _name(self, row: Row, variables: dict[str, Any], taken: set[str]) -> str:
        """What the host is called; its address is nobody else's name."""
        prefix = self.get_option("hostvars_prefix")
        for expression in self.get_option("hostnames") or [f"{prefix}name", f"{prefix}address"]:
            try:
                value = variables[expression] if expression in variables else self._compose(expression, variables)
            except Exception as error:
                if self.get_option("strict"):
                    raise AnsibleParserError(f"The host name {expression!r} cannot be evaluated for {row['address']}: {error}") from None
                continue
            name = _NOT_IN_A_NAME.sub("_", str(value or ""))[:_MOST_CHARACTERS]
            if name.strip("_.-") and name not in taken:
                return name
        return str(row["address"])

    def _compose(self, template: Any, variables: dict[str, Any], *more: Any) -> Any:
        return _harmless_trusted(super()._compose(template, variables, *more))

    def _known(self, variables: dict[str, Any]) -> dict[str, Any]:
        return variables | self._vars if self.get_option("use_extra_vars") else variables


def _harmless_trusted(value: Any) -> Any:
    """The value with every harmless text in it marked as trusted, because ansible-inventory puts all others into a dictionary of its own
    (__ansible_unsafe), which AWX shows as such. Anything else stays as it came, and is never taken for a template.
    """
    if isinstance(value, str):
        return trust_as_template(value) if _HARMLESS.match(value) else value
    if isinstance(value, list):
        return [_harmless_trusted(item) for item in value]
    if isinstance(value, dict):
        return {key: _harmless_trusted(item) for key, item in value.items()}
    return value


def _digest(options: Mapping[str, Any]) -> str:
    """Other options, another place in the cache. Nothing is asked with the token of the pinning service."""
    deciding = {name: value for name, value in options.items() if name != "ipfs_jwt"}
    return hashlib.sha256(json.dumps(deciding, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _waiting_hosts(found: list[Row], wanted: list[str], domain: str) -> list[Row]:
    """The hosts that wait, from market descriptions: those of the cheapest market first, and of each that which is next."""
    known = {name for market in found for name in (market["slug"], market["address"])}
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise AnsibleParserError(f"There is no market {unknown[0]}; nosana_market_info lists those that there are.")
    return [
        {
            "resource": "host",
            "address": address,
            "name": None,
            "status": "waiting",
            "url": host_url(address, domain),
            "market": market["address"],
            **{f"market_{name}": market[name] for name in _OF_MARKETS},
            **{name: market[name] for name in ("gpu_types", "min_vram_gb", "price_per_hour_nos", "price_per_hour_usd")},
        }
        for market in found
        if not wanted or market["slug"] in wanted or market["address"] in wanted
        for address in market["hosts"]
    ]


def _url(row: Row) -> str:
    """Where it is reached: the first service of a job, the own API of a host."""
    services = row.get("services") or []
    return str(services[0]["url"] if services else row.get("url") or "")
