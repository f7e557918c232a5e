"""The items of a loop: what the next ones will ask is asked along, and nothing is ever spent on what was read that way."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from relay import Relay, relaying
from stage import Poster, Stage, kinds

from ansible_collections.nosana.compute.plugins.module_utils._ansible.session import Session
from ansible_collections.nosana.compute.plugins.module_utils._ansible.tasks import TaskResult
from ansible_collections.nosana.compute.plugins.module_utils._jobs import foresight

NAMES = [f"job-{number}" for number in range(12)]
LOOK = "getMultipleAccounts"
REPLACED = ["delist", "post"]


@dataclass
class Loop:
    """A task with a loop over names, as one worker runs it."""

    poster: Poster
    relay: Relay
    session: Session = field(default_factory=Session)
    runner: asyncio.Runner = field(default_factory=asyncio.Runner)

    def item(self, name: str, **options: Any) -> TaskResult:
        self.session.foresight.upcoming = NAMES[NAMES.index(name) + 1 :] if name in NAMES else ()
        self.relay.forget()
        return self.runner.run(self.poster.job_in_loop(session=self.session, name=name, **self.relay.options, **options))

    def looks(self) -> int:
        """Requests of the last item that read accounts."""
        return self.relay.counts[LOOK]


@pytest.fixture(scope="module")
def relay(stage: Stage) -> Iterator[Relay]:
    with relaying(stage.chain.url, stage.network.url) as found:
        yield found


@pytest.fixture
def loop(stage: Stage, relay: Relay) -> Iterator[Loop]:
    """All names are posted."""
    with asyncio.Runner() as runner:
        made = Loop(stage.poster(nos=10**9), relay, runner=runner)
        for name in NAMES:
            assert kinds(made.item(name)) == ["post"]
        yield made


def test_unchanged_items_share_their_questions(loop: Loop) -> None:
    looks, jobs = 0, set()
    for name in NAMES:
        result = loop.item(name)
        assert (result.failure, result.values["changed"]) == (None, False)
        assert set(loop.relay.counts) <= {LOOK}
        looks += loop.looks()
        jobs.add(result.values["id"])
    assert len(jobs) == len(NAMES)
    assert looks <= 2


def test_what_was_foreseen_is_no_ground_to_spend_on(loop: Loop) -> None:
    """The second item wants something else; it was foreseen, and is read again before anything is sent."""
    loop.item(NAMES[0])
    result = loop.item(NAMES[1], image="other")
    assert kinds(result) == REPLACED
    assert loop.relay.kinds.index(LOOK) < loop.relay.kinds.index("sendTransaction")


def test_a_job_that_was_removed_meanwhile_is_posted_once(loop: Loop, stage: Stage) -> None:
    """Foreseen as it was, gone by now: an item that was to change it finds that out."""
    loop.item(NAMES[0])
    loop.poster.job(state="absent", name=NAMES[1])
    result = loop.item(NAMES[1], image="other")
    assert kinds(result) == ["post"]
    assert len(stage.chain.jobs_of(loop.poster.address)) == len(NAMES)


def test_two_items_of_one_name(loop: Loop) -> None:
    """What the first one changes is not overlooked by the second one, which was foreseen before."""
    loop.session.foresight.upcoming = [NAMES[1]]
    loop.item(NAMES[0])
    assert kinds(loop.item(NAMES[1], image="other")) == REPLACED
    assert kinds(loop.item(NAMES[1])) == REPLACED


def test_what_an_item_changes_was_not_foreseen(loop: Loop) -> None:
    """One item removes what another one was foreseen to find."""
    loop.item(NAMES[0])
    assert kinds(loop.item(NAMES[1], state="absent")) == ["delist"]
    assert kinds(loop.item(NAMES[1])) == ["post"]


def test_what_was_foreseen_is_used_once_and_soon(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    loop.item(NAMES[0])
    loop.item(NAMES[1])
    assert loop.looks() == 0
    loop.item(NAMES[1])
    assert loop.looks() == 1
    monkeypatch.setattr(foresight, "MOST_AGE_SECONDS", -1.0)
    loop.item(NAMES[2])
    assert loop.looks() == 1


def test_another_market_than_was_foreseen(loop: Loop, stage: Stage) -> None:
    loop.item(NAMES[0])
    result = loop.item(NAMES[1], market=str(stage.market()))
    assert kinds(result) == REPLACED


def test_check_mode_foretells_from_a_fresh_look(loop: Loop) -> None:
    loop.item(NAMES[0], check_mode=True)
    result = loop.item(NAMES[1], check_mode=True, image="other")
    assert result.values["changed"]
    assert loop.looks() == 1
