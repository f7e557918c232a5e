"""A fleet in slices that overlap, as two controllers or a job that is launched twice have them: each name is posted exactly once."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections import Counter

from conftest import Awx

FLEET = [f"fleet-{number}" for number in range(9)]
SLICES = [FLEET[:6], FLEET[3:]]
WHAT = {"nosana_hosts": "all", "nosana_market": "nvidia-4090", "nosana_image": "nginx", "nosana_timeout": "600"}


def test_overlapping_slices(awx: Awx) -> None:
    begun = [awx.begin("post", "--forks", "6", hosts=names, **WHAT) for names in SLICES]
    ran = [run.end() for run in begun]
    assert [run.status for run in ran] == ["successful"] * len(SLICES), [run.output for run in ran]
    assert [sorted(run.posted()) for run in ran] == SLICES
    posted = Counter(name for run in ran for name, changed in run.posted().items() if changed)
    assert posted == dict.fromkeys(FLEET, 1)
    jobs = awx.jobs()
    assert sorted(job["name"] for job in jobs) == FLEET
    addresses = {job["name"]: job["address"] for job in jobs}
    for run, names in zip(ran, SLICES, strict=True):
        assert {name: job["address"] for name, job in run.artifacts["nosana_jobs"].items()} == {name: addresses[name] for name in names}
        assert "nosana_address" not in run.artifacts  # that would be one of many
    again = awx.run("post", hosts=FLEET, **WHAT)
    assert (again.status, again.changed) == ("successful", 0)
    removed = [run.end() for run in [awx.begin("remove", hosts=names, nosana_hosts="all") for names in SLICES]]
    assert [run.status for run in removed] == ["successful"] * len(SLICES), [run.output for run in removed]
    assert awx.jobs() == []
