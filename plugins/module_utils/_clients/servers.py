"""Several servers that answer the same questions: tried in order, and those that failed come last for the rest of the run."""
# Copyright (c) 2026, The nosana.compute contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection and may change without notice.

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from .errors import InvalidInput, NosanaError, NotFound, Refused, UnexpectedAnswer, Unreachable
from .http import redact_url

if TYPE_CHECKING:
    from .clock import Clock

Answer = TypeVar("Answer")

_ROUNDS = 3
_BETWEEN_ROUNDS_SECONDS = 1.0
# Another server may be up, allow what this one refuses, or have what this one lacks; the same one may be well again in a moment.
_WORTH_ANOTHER = (Unreachable, Refused, UnexpectedAnswer, NotFound)
_WORTH_ANOTHER_ROUND = (Unreachable, UnexpectedAnswer)


class Servers:
    """The URLs of one option. With a single one everything is as if there were no list."""

    def __init__(self, clock: Clock, urls: str | Sequence[str], *, label: str, advice: str) -> None:
        self.urls = (urls,) if isinstance(urls, str) else tuple(urls)
        if not self.urls:
            raise InvalidInput(f"No address of a {label} is given; check {advice}.")
        self._clock = clock
        self._label = label
        self._advice = advice
        self._failures = dict.fromkeys(self.urls, 0)

    @property
    def attempts(self) -> int | None:
        """How often one server is asked before the next one is; None is the client's own number."""
        return None if len(self.urls) == 1 else 1

    def in_order(self) -> list[str]:
        """Those that failed least come first, in the order of the option."""
        return sorted(self.urls, key=lambda url: self._failures[url])

    async def ask(self, question: Callable[[str], Awaitable[Answer]], *, decides: Callable[[NosanaError], bool] | None = None) -> Answer:
        """The first answer that a server gives to `question`, which is told the URL to ask.

        An error for which `decides` holds is the answer. Servers that are not well are asked in some rounds. When all fail, a refusal is
        raised rather than an outage, because it says more; when none of them could be reached, one sentence tells which were tried.
        """
        if len(self.urls) == 1:
            return await question(self.urls[0])
        causes: dict[str, NosanaError] = {}
        for number in range(_ROUNDS):
            if number:
                await self._clock.sleep(_BETWEEN_ROUNDS_SECONDS * number * (0.5 + self._clock.random()))
            for url in self.in_order():
                try:
                    answer = await question(url)
                except _WORTH_ANOTHER as error:
                    if decides is not None and decides(error):
                        raise
                    causes[url] = error
                    self._failures[url] += isinstance(error, _WORTH_ANOTHER_ROUND)
                else:
                    self._failures[url] = 0
                    return answer
            if not any(isinstance(error, _WORTH_ANOTHER_ROUND) for error in causes.values()):
                break
        for cause in causes.values():
            if not isinstance(cause, Unreachable):
                raise cause
        tried = ", ".join(f"{redact_url(url)} ({cause.details.get('cause', 'no answer')})" for url, cause in causes.items())
        raise Unreachable(
            f"No answer from any {self._label} after {_ROUNDS} rounds: {tried}; check {self._advice}.", label=self._label, attempts=_ROUNDS
        )
