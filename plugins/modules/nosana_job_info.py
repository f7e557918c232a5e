#!/usr/bin/python
"""nosana_job_info: reads jobs of a wallet on the Nosana network."""
# Copyright (c) 2026, The nosana.compute contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: nosana_job_info
short_description: Read jobs on the Nosana network
version_added: 0.1.0
description:
  - Reads the jobs of a wallet, by name, by address or all of them, optionally only those with a given status.
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
      - Only jobs of this name, oldest first. More than one stands under a name when it was posted anew after a job was over.
    type: str
  id:
    description:
      - Only the job with this address. It may belong to another wallet.
    type: str
  status:
    description:
      - Only jobs with one of these statuses.
    type: list
    elements: str
    choices: [pending, running, completed, failed, cancelled]
  market:
    description:
      - Only jobs in this market, by slug or address.
    type: str
  limit:
    description:
      - Return at most so many jobs. Those that are not over come first, then those that ended last.
    type: int
    default: 100
  include:
    description:
      - What to return beside the job itself.
      - V(definition) is the pinned definition, with values that look like secrets masked. V(result) is the host's whole result document.
        V(logs) are the newest of its log lines, at most a thousand of each job and a megabyte in all. V(cost) is price, deposit and how it
        was divided.
    type: list
    elements: str
    choices: [definition, result, logs, cost]
    default: []
seealso:
  - module: nosana.compute.nosana_job
"""

EXAMPLES = r"""
- name: One job with its log
  nosana.compute.nosana_job_info:
    name: batch-processing-job
    include: [logs, cost]
  register: batch

- name: Show the log
  ansible.builtin.debug:
    msg: "{{ batch.jobs | map(attribute='logs') | flatten | map(attribute='text') }}"

- name: All jobs of the wallet that run
  nosana.compute.nosana_job_info:
    status: [running]

- name: A job by its address
  nosana.compute.nosana_job_info:
    id: B3MmwHz7sovudYwMxZFwjS2E6eMRaEEqNgWao5RYUkLi
"""

RETURN = r"""
jobs:
  description: The jobs that match.
  type: list
  elements: dict
  returned: always
  contains:
    address:
      description: Address of the job account.
      type: str
      returned: always
      sample: B3MmwHz7sovudYwMxZFwjS2E6eMRaEEqNgWao5RYUkLi
    name:
      description: The job's name, C(meta.name) of its definition. Null when it has none or the definition could not be read.
      type: str
      returned: always
      sample: batch-processing-job
    status:
      description: V(pending), V(running), V(completed), V(failed) or V(cancelled), from the chain and the host's result together.
      type: str
      returned: always
      sample: completed
    reason:
      description: Why the job has this status, in one word, where there is more to say.
      type: str
      returned: always
      sample: exit_code
    message:
      description: The status in one sentence.
      type: str
      returned: always
      sample: Every op succeeded.
    chain_state:
      description: What the chain says. V(queued), V(running), V(stopped), V(done), V(orphaned) or V(unknown).
      type: str
      returned: always
      sample: done
    exit_code:
      description: Exit code of the op that decided that the job failed. Null otherwise.
      type: int
      returned: always
      sample: 1
    ops:
      description: What the result says of each op, as in M(nosana.compute.nosana_job).
      type: list
      elements: dict
      returned: always
      sample:
        - op: processor
          status: success
          exit_code: 0
    market:
      description: Address of the market.
      type: str
      returned: always
      sample: 7AtiXMSH6R1jjBxrcYjehCkkSF7zvYWte63gwEDBcGHq
    host:
      description: Address of the host that runs or ran the job.
      type: str
      returned: always
      sample: HWAbUKhTSEXKarqXAjFB9EmaszsoB7dGEC7Gjxf7vNfk
    timeout:
      description: How long the job may run, in seconds.
      type: int
      returned: always
      sample: 7200
    time_started:
      description: When the host took the job, in seconds since 1970. Null before.
      type: int
      returned: always
      sample: 1767225600
    time_ended:
      description: When the job ended, in seconds since 1970. Null before.
      type: int
      returned: always
      sample: 1767225640
    definition_cid:
      description: Content address of the definition on IPFS.
      type: str
      returned: always
      sample: QmTcNQ4dGq8veeg8v5cQyGoaJEPSYQnVTd1TvfckVFVzRu
    result_cid:
      description: Content address of the host's result on IPFS. Null while there is none.
      type: str
      returned: always
      sample: QmZ9Zyt91LcDbbzHLSntAacr4UckYHy64UAxMtfpN3UWte
    result_url:
      description: Where the result can be read. Null while there is none.
      type: str
      returned: always
      sample: https://nosana.mypinata.cloud/ipfs/QmZ9Zyt91LcDbbzHLSntAacr4UckYHy64UAxMtfpN3UWte
    services:
      description: The exposed ports with their public URLs, as in M(nosana.compute.nosana_job).
      type: list
      elements: dict
      returned: always
      sample:
        - op: webserver
          port: 80
          url: https://2Q8rNYKwxEcQK2vrouiKsqNUkk6noR5tvNqWJ4kLymtV.node.k8s.prd.nos.ci
    explorer_url:
      description: The job's page in the explorer. Null on networks that have none.
      type: str
      returned: always
      sample: https://explore.nosana.com/jobs/B3MmwHz7sovudYwMxZFwjS2E6eMRaEEqNgWao5RYUkLi
    cost:
      description: Price, deposit and how it was divided, as in M(nosana.compute.nosana_job).
      type: dict
      returned: when O(include) has V(cost)
      sample:
        price_per_second_base_units: 43
        deposit_base_units: 25800
        deposit_nos: "0.0258"
        network_fee_base_units: null
        rent_lamports: 2561280
        paid_base_units: 1376
        refund_base_units: 24424
    job_definition:
      description: The pinned definition. Null when it could not be read.
      type: dict
      returned: when O(include) has V(definition)
      sample: {version: "0.1", type: container, ops: []}
    result:
      description: The host's result document. Null while there is none.
      type: dict
      returned: when O(include) has V(result)
      sample: {status: success, opStates: []}
    logs:
      description: The log lines of all ops, in the order of the ops.
      type: list
      elements: dict
      returned: when O(include) has V(logs)
      contains:
        op:
          description: Id of the op.
          type: str
          returned: always
          sample: processor
        type:
          description: V(stdin), V(stdout), V(stderr), or V(nodeerr) for what the host says.
          type: str
          returned: always
          sample: stdout
        text:
          description: The line, without control characters.
          type: str
          returned: always
          sample: Processing...
failure:
  description: Why the task failed, with C(code), C(retryable) and C(details) as in M(nosana.compute.nosana_job).
  type: dict
  returned: on failure
  sample: {code: unreachable, retryable: true, details: {}}
"""

from ansible_collections.nosana.compute.plugins.module_utils._ansible.module import run


def main() -> None:
    """Runs the module."""
    run("nosana_job_info")


if __name__ == "__main__":
    main()
