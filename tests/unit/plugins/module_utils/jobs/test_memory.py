"""Looking again and again: what cannot change any more is read once, and what ended long ago is left out."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.nosana.compute.plugins.module_utils._clients.ipfs import cid_of, encode_document
from ansible_collections.nosana.compute.plugins.module_utils._jobs.lookup import Memory
from ansible_collections.nosana.compute.tests.unit.plugins.module_utils.jobs.fake_chain import (
    DOCUMENT,
    FAILURE,
    SUCCESS,
    Chain,
    address,
    info,
)

NOW = 1_800_000_000


def statuses(chain: Chain, memory: Memory, **wanted: object) -> dict[str, str]:
    jobs, _warnings = info(chain, memory=memory, **wanted)
    return {job["address"]: job["status"] for job in jobs}


def test_documents_are_read_once() -> None:
    chain, memory = Chain(), Memory()
    chain.job(address(0), state=2, result=FAILURE, ended=NOW - 10)
    chain.job(address(1), queued=True)
    assert statuses(chain, memory) == {address(0): "failed", address(1): "pending"}
    assert chain.asked.count("ipfs") == 2
    for job in info(chain, memory=memory)[0]:
        job["status"] = "somebody has written over it"
    chain.run(address(1))
    assert statuses(chain, memory) == {address(0): "failed", address(1): "running"}
    assert chain.asked.count("ipfs") == 2
    assert memory.now_seconds == NOW

    memory.keep_only({})
    assert statuses(chain, memory) == {address(0): "failed", address(1): "running"}
    assert chain.asked.count("ipfs") == 4


def test_what_could_not_be_read_is_read_again() -> None:
    chain, memory = Chain(), Memory()
    chain.job(address(0), state=2, result=SUCCESS, ended=NOW - 10)
    content = dict(chain.content)
    for known, name in (({}, None), ({cid_of(encode_document(DOCUMENT)): DOCUMENT}, "web")):
        chain.content = known
        (unread,) = info(chain, memory=memory)[0]
        assert (unread["name"], unread["reason"]) == (name, "result_unavailable")
    chain.content = content
    (read,) = info(chain, memory=memory)[0]
    assert (read["name"], read["status"]) == ("web", "completed")


def test_a_definition_that_is_no_json_object_is_a_job_without_a_name() -> None:
    chain, memory = Chain(), Memory()
    chain.job(address(0), document=["not", "a", "job"], queued=True)
    (job,) = info(chain, memory=memory)[0]
    assert (job["name"], job["status"]) == (None, "pending")


def test_what_ended_long_ago_is_left_out_and_not_read() -> None:
    chain, memory = Chain(), Memory()
    chain.job(address(0), state=2, result=SUCCESS, ended=NOW - 3601)
    chain.job(address(1), state=2, result=FAILURE, ended=NOW - 3599)
    chain.job(address(2), queued=True)
    assert statuses(chain, memory, ended_within=3600) == {address(1): "failed", address(2): "pending"}
    assert len(statuses(chain, Memory())) == 3
