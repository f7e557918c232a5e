#!/usr/bin/python
"""nosana_market_info: reads the markets of the Nosana network, cheapest first."""
# Copyright (c) 2026, The nosana.compute contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: nosana_market_info
short_description: Read the markets of the Nosana network
version_added: 0.1.0
description:
  - Reads the markets in which jobs can be posted, with their prices, GPUs, waiting hosts and queued jobs.
  - All options that are given have to fit. The list begins with the cheapest market; of equally cheap ones with that where more hosts wait.
  - A market whose job type the program does not know is left out, because what is posted there never runs.
  - Which markets there are, their names and GPUs come from the Nosana REST API; price, timeout and queue come from the chain.
  - The result is always a list; no match is an empty list and no error.
author:
  - The nosana.compute contributors (@nosana-ci)
extends_documentation_fragment:
  - nosana.compute._attributes.info_module
  - nosana.compute._attributes.action_plugin
  - nosana.compute._attributes.actiongroup_nosana
  - nosana.compute._connection
options:
  name:
    description:
      - Only the market with this slug.
    type: str
  id:
    description:
      - Only the market with this address. It is read from the chain even when the REST API does not know it or does not answer.
    type: str
  gpu:
    description:
      - Only markets with this GPU.
      - All words have to be found in one of the market's GPU types, in its name or in its slug, in any case and order. V(4090) finds an
        NVIDIA GeForce RTX 4090; V(409) does not.
    type: str
  max_price:
    description:
      - Only markets that cost at most so much, in NOS per hour.
    type: float
  min_vram:
    description:
      - Only markets whose hosts have at least so much video memory, in GB. Markets of which it is not known are left out.
    type: float
  type:
    description:
      - Only markets of this type.
    type: str
    choices: [PREMIUM, COMMUNITY, OTHER]
  available:
    description:
      - V(true) returns only markets where a host waits, so that a job starts at once.
    type: bool
    default: false
  include:
    description:
      - What to return beside the market itself. V(hosts) are the addresses of the hosts that wait for a job.
    type: list
    elements: str
    choices: [hosts]
    default: []
notes:
  - This module needs no wallet and no IPFS; the options for them are accepted so that all modules can have the same C(module_defaults).
seealso:
  - module: nosana.compute.nosana_job
  - module: nosana.compute.nosana_wallet_info
"""

EXAMPLES = r"""
- name: All markets, cheapest first
  nosana.compute.nosana_market_info:
  register: all_markets

- name: The cheapest market with 24 GB or more, for at most 0.8 NOS per hour, where a host waits
  nosana.compute.nosana_market_info:
    min_vram: 24
    max_price: 0.8
    available: true
  register: fitting

- name: Post a job there
  nosana.compute.nosana_job:
    name: cheapest
    image: nginx:alpine
    expose: [80]
    market: "{{ (fitting.markets | first).address }}"
  when: fitting.markets | length > 0

- name: What an hour on an RTX 4090 costs
  nosana.compute.nosana_market_info:
    gpu: rtx 4090
  register: gpu

- name: Show it
  ansible.builtin.debug:
    msg: "{{ gpu.markets | map(attribute='price_per_hour_nos') }}"

- name: One market by its slug
  nosana.compute.nosana_market_info:
    name: nvidia-3060
"""

RETURN = r"""
markets:
  description: The markets that fit, cheapest first.
  type: list
  elements: dict
  returned: success
  contains:
    address:
      description: Address of the market account.
      type: str
      returned: success
      sample: 7AtiXMSH6R1jjBxrcYjehCkkSF7zvYWte63gwEDBcGHq
    slug:
      description: The market's short name, as O(nosana.compute.nosana_job#module:market) takes it. Null when the REST API does not know the market.
      type: str
      returned: success
      sample: nvidia-3060
    name:
      description: The market's name for people. Null when it is not known.
      type: str
      returned: success
      sample: NVIDIA 3060
    type:
      description: V(PREMIUM), V(COMMUNITY) or V(OTHER). Null when it is not known.
      type: str
      returned: success
      sample: PREMIUM
    gpu_types:
      description: The GPUs that hosts of the market have.
      type: list
      elements: str
      returned: success
      sample: [NVIDIA GeForce RTX 3060]
    min_vram_gb:
      description: The video memory that every host of the market has at least, in GB. Null when it is not known.
      type: float
      returned: success
      sample: 12.0
    price_per_second_base_units:
      description: The price on the chain, in NOS base units (millionths of a NOS) per second.
      type: int
      returned: success
      sample: 43
    price_per_second_nos:
      description: The same in NOS, as text.
      type: str
      returned: success
      sample: "0.000043"
    price_per_hour_base_units:
      description: The price in NOS base units per hour.
      type: int
      returned: success
      sample: 154800
    price_per_hour_nos:
      description: The same in NOS, as text. O(max_price) is compared with it.
      type: str
      returned: success
      sample: "0.1548"
    price_per_hour_usd:
      description:
        - What the REST API says that an hour costs in USD, with the network's fee, as text. It follows the exchange rate and is no promise.
          Null when it says nothing.
      type: str
      returned: success
      sample: "0.05418"
    timeout:
      description: How long a job may run when it does not say so itself, in seconds.
      type: int
      returned: success
      sample: 7200
    waiting_hosts:
      description: How many hosts wait for a job.
      type: int
      returned: success
      sample: 3
    queued_jobs:
      description: How many jobs wait for a host. Never above 0 while hosts wait.
      type: int
      returned: success
      sample: 0
    hosts:
      description:
        - Addresses of the hosts that wait, that which is next first. A job can be given to one of them with
          O(nosana.compute.nosana_job#module:node).
      type: list
      elements: str
      returned: when O(include) has V(hosts)
      sample: [HWAbUKhTSEXKarqXAjFB9EmaszsoB7dGEC7Gjxf7vNfk]
failure:
  description: Why the task failed, with C(code), C(retryable) and C(details) as in M(nosana.compute.nosana_job).
  type: dict
  returned: on failure
  sample: {code: unreachable, retryable: true, details: {}}
"""

from ansible_collections.nosana.compute.plugins.module_utils._ansible.module import run


def main() -> None:
    """Runs the module."""
    run("nosana_market_info")


if __name__ == "__main__":
    main()
