#!/usr/bin/python
"""nosana_wallet_info: reads what a wallet has, and what its jobs hold."""
# Copyright (c) 2026, The nosana.compute contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: nosana_wallet_info
short_description: Read the balances of a wallet on the Nosana network
version_added: 0.1.0
description:
  - Reads the SOL and NOS of a wallet, the deposits that its active jobs hold, and the rent that its finished jobs hold.
  - With an API key the credits of the key's account are read too.
  - Jobs count for the wallet that has paid for them, because deposit and rent come home to it.
author:
  - The nosana.compute contributors (@nosana-ci)
extends_documentation_fragment:
  - nosana.compute._attributes.info_module
  - nosana.compute._attributes.action_plugin
  - nosana.compute._attributes.actiongroup_nosana
  - nosana.compute._connection
options:
  address:
    description:
      - The wallet to look at. Any wallet can be looked at, without its key.
      - If not set, it is the address of O(wallet), whose key is needed for nothing else.
    type: str
  api_key:
    description:
      - Key of the Nosana REST API, for its credits. It need not belong to the wallet.
      - If not set, the value of the environment variable E(NOSANA_API_KEY) is used.
    type: str
notes:
  - Deposits and rent need an RPC node that allows C(getProgramAccounts), which many public ones do not. Where it is refused they are
    null, and a warning says so.
seealso:
  - module: nosana.compute.nosana_job
  - module: nosana.compute.nosana_market_info
"""

EXAMPLES = r"""
- name: The wallet of NOSANA_WALLET
  nosana.compute.nosana_wallet_info:
  register: mine

- name: Stop before the money is out
  ansible.builtin.assert:
    that: mine.wallet.nos_base_units >= 5000000
    fail_msg: "Only {{ mine.wallet.nos }} NOS are left."

- name: Anybody's wallet
  nosana.compute.nosana_wallet_info:
    address: HWAbUKhTSEXKarqXAjFB9EmaszsoB7dGEC7Gjxf7vNfk

- name: Credits
  nosana.compute.nosana_wallet_info:
    api_key: "{{ nosana_api_key }}"
  register: account

- name: Show them
  ansible.builtin.debug:
    msg: "{{ account.wallet.credits.available_usd }} USD"
"""

RETURN = r"""
wallet:
  description: What the wallet has.
  type: dict
  returned: success
  contains:
    address:
      description: The wallet's address.
      type: str
      returned: success
      sample: HWAbUKhTSEXKarqXAjFB9EmaszsoB7dGEC7Gjxf7vNfk
    sol_lamports:
      description: The SOL of the wallet in lamports (thousand millionths of a SOL).
      type: int
      returned: success
      sample: 1497431720
    sol:
      description: The same in SOL, as text.
      type: str
      returned: success
      sample: "1.49743172"
    nos_base_units:
      description: The NOS of the wallet in base units (millionths of a NOS). 0 when it has no token account for NOS.
      type: int
      returned: success
      sample: 99690400
    nos:
      description: The same in NOS, as text.
      type: str
      returned: success
      sample: "99.6904"
    nos_token_account:
      description: Address of the wallet's token account for NOS.
      type: str
      returned: success
      sample: 4MBLQnoURj4gBWfvzmgMSPdWhnLUbbjKUhnyX2LZ9CUe
    nos_token_account_exists:
      description: Whether that account exists. Before it does, the wallet has no NOS.
      type: bool
      returned: success
      sample: true
    credits:
      description: The credits of the account of O(api_key), in USD, as text. Null without a key.
      type: dict
      returned: success
      contains:
        assigned_usd:
          description: What was given to the account.
          type: str
          returned: success
          sample: "10"
        reserved_usd:
          description: What its active jobs may still use.
          type: str
          returned: success
          sample: "0.75"
        settled_usd:
          description: What is used up.
          type: str
          returned: success
          sample: "2.5"
        available_usd:
          description: What is left for new jobs.
          type: str
          returned: success
          sample: "6.75"
    deposits:
      description:
        - The deposits that the market holds for jobs which wait, run or were given up by their host. What the host of a running job
          earns goes off. Null when the RPC node refuses to list the jobs.
      type: dict
      returned: success
      contains:
        jobs:
          description: How many active jobs the wallet has paid for.
          type: int
          returned: success
          sample: 2
        base_units:
          description: Their deposits together, in NOS base units.
          type: int
          returned: success
          sample: 309600
        nos:
          description: The same in NOS, as text.
          type: str
          returned: success
          sample: "0.3096"
    rent:
      description:
        - The rent that the accounts of finished jobs hold, and that cleaning them brings home to the wallet. Null when the RPC node
          refuses to list the jobs.
      type: dict
      returned: success
      contains:
        now:
          description: Of jobs that ended longer ago than their market's expiration time, by the chain's own clock. They can be cleaned.
          type: dict
          returned: success
          contains: &rent
            jobs:
              description: How many jobs these are.
              type: int
              returned: success
              sample: 3
            lamports:
              description: Their rent together, in lamports.
              type: int
              returned: success
              sample: 7683840
            sol:
              description: The same in SOL, as text.
              type: str
              returned: success
              sample: "0.00768384"
        later:
          description: Of the other finished jobs, which the program does not yet let anybody clean.
          type: dict
          returned: success
          contains: *rent
failure:
  description: Why the task failed, with C(code), C(retryable) and C(details) as in M(nosana.compute.nosana_job).
  type: dict
  returned: on failure
  sample: {code: unreachable, retryable: true, details: {}}
"""

from ansible_collections.nosana.compute.plugins.module_utils._ansible.module import run


def main() -> None:
    """Runs the module."""
    run("nosana_wallet_info")


if __name__ == "__main__":
    main()
