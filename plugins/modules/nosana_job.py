#!/usr/bin/python
"""nosana_job: makes the job declared under a name exist exactly once on the Nosana network, or not at all."""
# Copyright (c) 2026, The nosana.compute contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: nosana_job
short_description: Run containers as jobs on the Nosana network
version_added: 0.1.0
description:
  - Makes the job declared under O(name) exist exactly once on the Nosana network, a marketplace for GPU compute on Solana.
  - A job is a set of containers, described by O(job_definition) or by the short form with O(image). It is listed in a market,
    a host takes it and runs it, and is paid per second from the deposit that the wallet made when the job was posted.
  - The job's address is derived from the wallet and the name. The same task in another playbook, or in a run that was cut off, finds the
    same job; the chain itself refuses to create it twice.
  - A job that is over is not posted again unless its definition changed or O(rerun) asks for it; a job that was removed is.
  - A posting that takes the place of an active job is one transaction with the removal. Either both happen or neither does.
author:
  - The nosana.compute contributors (@nosana-ci)
extends_documentation_fragment:
  - nosana.compute._attributes
  - nosana.compute._attributes.action_plugin
  - nosana.compute._attributes.actiongroup_nosana
  - nosana.compute._connection
  - nosana.compute._wait
options:
  name:
    description:
      - The job's identity within the wallet. It is written to C(meta.name) of the definition.
      - May be left out if O(job_definition) has C(meta.name). If both are given they must be equal.
    type: str
  state:
    description:
      - V(present) makes the declared job exist. It is posted, extended, replaced or left alone, whichever is needed.
      - V(absent) removes a job that waits or runs. The part of the deposit that no host has earned comes home.
        A job that is over is left as it is, unless O(purge=true).
    type: str
    choices: [present, absent]
    default: present
  job_definition:
    description:
      - The job in the network's own schema, as a dictionary or as JSON text.
      - It is checked strictly before anything is posted. Unknown keys are errors, and values of C(env) must be strings.
      - C(args.memory) and C(args.cpu) do not exist on the network. They are accepted, kept as C(meta.system_resources), and nothing
        enforces them.
      - The definition is pinned on public IPFS, so do not put secrets into it.
    type: raw
  image:
    description:
      - Container image. Short form for a job of one container, instead of O(job_definition).
    type: str
  command:
    description:
      - Command of the container, as a list (run as it is) or as text (run by C(/bin/sh -c)).
    type: raw
  env:
    description:
      - Environment of the container. All values are turned into text.
    type: dict
  expose:
    description:
      - Ports of the container that get a public URL.
    type: list
    elements: int
  gpu:
    description:
      - Whether the container needs a GPU.
    type: bool
  id:
    description:
      - With O(state=absent) the address of the job to remove, whatever its name is. Only the wallet's own jobs can be removed.
    type: str
  market:
    description:
      - The market to post in, by slug or by address, or a wish that is granted by the cheapest market that fits. Needed with O(state=present).
      - A wish is a dictionary with one or more of C(gpu) (words such as V(rtx 4090)), C(max_price) (NOS per hour) and C(min_vram) (GB).
        The market that it comes to is shown in the diff and in the result.
      - A wish is sticky. A job that waits or runs stays in its market while that has the GPU and the memory, whatever prices do.
        A job that takes its place pays the present price, so then that has to fit, too, or another market is chosen.
      - If not set, the value of the environment variable E(NOSANA_MARKET) is used, where a wish is written as JSON.
    type: raw
  timeout:
    description:
      - How long the job may run, in seconds. The deposit is this times the market's price.
      - Default is the market's own when the job is posted, and what it has when it exists.
      - A longer one extends a job that waits or runs. A timeout cannot be shortened; the module warns and leaves it.
    type: int
  node:
    description:
      - Address of a host that waits in the market, to which the job is assigned.
      - A job that waits or runs elsewhere differs in this, see O(on_change).
    type: str
  on_change:
    description:
      - What to do when the job exists with another definition, in another market or on another host than O(node).
      - V(replace) removes it and posts the declared one, V(fail) fails, V(ignore) leaves it and warns.
      - A job that waits in its queue for less than a minute or so is replaced when that time is over, because until then another run's
        posting of the same job may still arrive.
      - When the job is over, only its definition counts.
    type: str
    choices: [replace, fail, ignore]
    default: replace
  rerun:
    description:
      - Whether a job that equals the declaration is posted and paid for again.
      - V(never) does not. V(failed) does when it failed, or when its host is dead. V(finished) does whenever it is over.
        V(always) does in every run, and a job that is still active is removed for it.
      - A result that cannot be read proves no failure, so V(failed) leaves such a job alone.
    type: str
    choices: [never, failed, finished, always]
    default: never
  max_cost:
    description:
      - The most that the job may cost, in NOS, network fee included. Nothing is posted or extended above it, and the task fails.
      - The market's price is read and the transaction simulated right before it is sent. The program knows no limit, so a price that the
        market's owner raises in the second between is paid; RV(job.cost) and RV(actions) then say what was.
    type: str
  purge:
    description:
      - With O(state=absent), also close the accounts of finished jobs of the name, so that their rent comes home. The program allows it
        once a job has been over for the market's expiration, often a day.
      - A job whose account was closed is still over, and is not posted again by O(state=present); see O(rerun).
    type: bool
    default: false
  priority_fee:
    description:
      - What is offered for a quick landing of a transaction, as micro-lamports for each compute unit, or as a word for a percentile of what
        others have paid recently. V(low) is 25, V(medium) 50 and V(high) 75.
      - If not set, the value of the environment variable E(NOSANA_PRIORITY_FEE) is used.
    type: str
    default: medium
seealso:
  - module: nosana.compute.nosana_job_info
"""

EXAMPLES = r"""
- name: A web service, kept as long as the market allows
  nosana.compute.nosana_job:
    name: web-server
    market: nvidia-3060
    job_definition:
      version: "0.1"
      type: container
      ops:
        - type: container/run
          id: webserver
          args:
            image: nginx:alpine
            expose: 80
            env:
              NGINX_HOST: localhost
    wait_for: ready
    wait_timeout: 300

- name: A language model on a GPU
  nosana.compute.nosana_job:
    name: ai-inference
    market: nvidia-3060
    job_definition:
      version: "0.1"
      type: container
      ops:
        - type: container/run
          id: llm_server
          args:
            image: docker.io/hoomanhq/oneclickllm:latest
            gpu: true
            expose: 8000
            env:
              MODEL_NAME: mistral
              PARAMETER_SIZE: 7B
              GPU_MEMORY_UTILIZATION: "0.9"
              PORT: "8000"
    wait_for_completion: false
    completion_timeout_seconds: 600
  register: llm

- name: Show where it answers
  ansible.builtin.debug:
    msg: "{{ llm.job.services | map(attribute='url') }}"

- name: A batch job, waited for; the task fails if the job does
  nosana.compute.nosana_job:
    market: nvidia-3060
    timeout: 600
    job_definition:
      version: "0.1"
      type: container
      meta:
        trigger: ansible
        name: batch-processing-job
      ops:
        - type: container/run
          id: processor
          args:
            image: python:3.9-slim
            cmd: [python, -c, "import time; print('Processing...'); time.sleep(30); print('Done!')"]
    wait_for_completion: true
    completion_timeout_seconds: 120

- name: The short form, which also fits on an ad hoc command line
  # ansible localhost -m nosana.compute.nosana_job -a "name=hello image=python:3.9-slim command='echo hello' market=nvidia-3060"
  nosana.compute.nosana_job:
    name: hello
    image: python:3.9-slim
    command: echo hello
    market: nvidia-3060

- name: What would happen, and what it would cost
  nosana.compute.nosana_job:
    name: hello
    image: python:3.9-slim
    command: echo hello
    market: nvidia-3060
    timeout: 3600
  check_mode: true
  diff: true

- name: In the cheapest market that fits, for at most 2 NOS
  nosana.compute.nosana_job:
    name: training
    image: docker.io/pytorch/pytorch:latest
    command: python -c "import torch; print(torch.cuda.is_available())"
    gpu: true
    market: {gpu: "4090", min_vram: 24}
    timeout: 7200
    max_cost: 2

- name: A nightly batch, run anew each time the playbook runs and the last one is over
  nosana.compute.nosana_job:
    name: nightly
    image: python:3.9-slim
    command: echo done
    market: nvidia-3060
    rerun: finished
    wait_for: completed

- name: Remove it; what no host has earned comes home
  nosana.compute.nosana_job:
    name: web-server
    state: absent
"""

RETURN = r"""
id:
  description: Address of the job on the chain. In check mode the address that it would have.
  type: str
  returned: when there is a job
  sample: B3MmwHz7sovudYwMxZFwjS2E6eMRaEEqNgWao5RYUkLi
status:
  description:
    - V(pending), V(running), V(completed), V(failed) or V(cancelled), from the chain and the host's result together.
    - V(completed) means that every container succeeded, or that a service reached its timeout.
  type: str
  returned: when there is a job
  sample: running
job:
  description: The job.
  type: dict
  returned: when there is a job
  contains:
    address:
      description: Address of the job account.
      type: str
      returned: always
      sample: B3MmwHz7sovudYwMxZFwjS2E6eMRaEEqNgWao5RYUkLi
    name:
      description: The job's name.
      type: str
      returned: always
      sample: web-server
    status:
      description: As RV(status).
      type: str
      returned: always
      sample: running
    reason:
      description: Why the job has this status, in one word, where there is more to say. For example V(exit_code), V(expired) or V(stopped).
      type: str
      returned: always
      sample: exit_code
    message:
      description: The status in one sentence.
      type: str
      returned: always
      sample: The job is running.
    chain_state:
      description:
        - What the chain says. V(queued), V(running), V(stopped) (given up by its host), V(done), V(orphaned) (taken out of the market by an
          administrator), V(unknown) (a state of a newer program), V(closed) (over, and its account closed) or V(gone).
      type: str
      returned: always
      sample: running
    exit_code:
      description: Exit code of the op that decided that the job failed. Null otherwise.
      type: int
      returned: always
      sample: 1
    ops:
      description: What the result says of each op. Empty while there is no result.
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
      sample: 1767229200
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
      description: The exposed ports of the job with their public URLs. Empty once it is over, null when the definition could not be read.
      type: list
      elements: dict
      returned: always
      contains:
        op:
          description: Id of the op that exposes the port.
          type: str
          returned: always
          sample: webserver
        port:
          description: The port inside the container.
          type: raw
          returned: always
          sample: 80
        url:
          description: The URL at which it answers.
          type: str
          returned: always
          sample: https://2Q8rNYKwxEcQK2vrouiKsqNUkk6noR5tvNqWJ4kLymtV.node.k8s.prd.nos.ci
    explorer_url:
      description: The job's page in the explorer. Null on networks that have none.
      type: str
      returned: always
      sample: https://explore.nosana.com/jobs/B3MmwHz7sovudYwMxZFwjS2E6eMRaEEqNgWao5RYUkLi
    cost:
      description: Price and deposit of the job, and how the deposit was divided once it is over. Base units are 0.000001 NOS.
      type: dict
      returned: always
      contains:
        price_per_second_base_units:
          description: Price of one second in NOS base units.
          type: int
          returned: always
          sample: 43
        deposit_base_units:
          description: What was, or would be, paid into the market when posting, in NOS base units.
          type: int
          returned: always
          sample: 309600
        deposit_nos:
          description: The same in NOS, as text.
          type: str
          returned: always
          sample: "0.3096"
        network_fee_base_units:
          description: What the network takes on top of the deposit. Known when the job is posted or extended, and in check mode; else null.
          type: int
          returned: always
          sample: 0
        rent_lamports:
          description: What the job's account holds. It comes home when the account is closed.
          type: int
          returned: always
          sample: 2561280
        paid_base_units:
          description: What the host earned. Null while the job is not over.
          type: int
          returned: always
          sample: 12900
        refund_base_units:
          description: What came back of the deposit. Null while the job is not over.
          type: int
          returned: always
          sample: 296700
actions:
  description: What was done, in this order. Empty in check mode and when nothing changed.
  type: list
  elements: dict
  returned: always
  contains:
    action:
      description: V(post), V(extend), V(delist), V(end), V(recover) or V(clean).
      type: str
      returned: always
      sample: post
    job:
      description: Address of the job.
      type: str
      returned: always
      sample: B3MmwHz7sovudYwMxZFwjS2E6eMRaEEqNgWao5RYUkLi
    signature:
      description: Signature of the transaction.
      type: str
      returned: always
      sample: 5VERv8NMvzbJMEkV8xnrLkEaWRtSz9CosKDYjCJjBRnbJLgp8uirBgmQpjKhoR4tjF3ZpRzrFmBV6UjKdiSZkQUW
    detail:
      description: The same in words.
      type: str
      returned: always
      sample: posted in market 7AtiXMSH6R1jjBxrcYjehCkkSF7zvYWte63gwEDBcGHq for 7200 s
    nos_base_units:
      description:
        - What the action did to the wallet's NOS, as the ledger shows it; a posting is negative, a refund positive. Null when the node does
          not show the transaction.
      type: int
      returned: always
      sample: -309600
balance_change:
  description:
    - What all actions together did to the wallet, as the ledger shows it, fees of transactions that failed on the chain included. Zero when
      nothing was done, null when the node does not show a transaction or its outcome is unknown.
  type: dict
  returned: always
  contains:
    nos_base_units:
      description: Change of the wallet's NOS.
      type: int
      returned: always
      sample: -309600
    lamports:
      description: Change of the wallet's SOL, with rent and fees.
      type: int
      returned: always
      sample: -2576511
    fee_lamports:
      description: The part of that which went into transaction fees.
      type: int
      returned: always
      sample: 15231
failure:
  description: Why the task failed, for C(rescue).
  type: dict
  returned: on failure
  contains:
    code:
      description: A stable word, such as V(insufficient_funds), V(cost_limit), V(job_failed) or V(wait_timeout).
      type: str
      returned: always
      sample: insufficient_funds
    retryable:
      description: Whether the same task may succeed later without a change.
      type: bool
      returned: always
      sample: false
    details:
      description: More values, depending on the code. With V(job_failed) they hold C(exit_code), C(log_tail) and C(result_url).
      type: dict
      returned: always
      sample: {needed_base_units: 309600, available_base_units: 1000}
"""

from ansible_collections.nosana.compute.plugins.module_utils._ansible.module import run


def main() -> None:
    """Runs the module."""
    run("nosana_job")


if __name__ == "__main__":
    main()
