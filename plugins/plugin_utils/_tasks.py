"""What the plugins share: options checked as the modules check theirs, tasks run together, results masked, one sentence for what went wrong."""
# Copyright (c) 2026, The nosana.compute contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection and may change without notice.

from __future__ import annotations

import asyncio
import os
import traceback
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.utils.display import Display

from ..module_utils._ansible.options import connection_spec, job_info_spec, market_info_spec
from ..module_utils._ansible.secrets import Masker, foreign, option_secrets, register
from ..module_utils._ansible.tasks import TaskResult, job_info_task, market_info_task
from ..module_utils._clients.errors import InvalidInput, NosanaError
from ..module_utils._clients.networks import NETWORKS
from ..module_utils._libraries import library_trouble

_MOST_CHARACTERS = 65_536
_MOST_WARNINGS = 5

Spec = Mapping[str, Mapping[str, Any]]


class Question(NamedTuple):
    """A task of a module, with its options beside those that all questions have. learns: it is told of secrets in definitions."""

    task: Callable[..., Awaitable[TaskResult]]
    spec: Spec
    options: Mapping[str, Any]
    learns: bool = False


class Answer(NamedTuple):
    """What was found; `incomplete` when something of it could not be read."""

    found: list[dict[str, Any]]
    incomplete: bool


def jobs(**options: Any) -> Question:
    """What nosana_job_info finds."""
    return Question(job_info_task, job_info_spec(), options, learns=True)


def markets(**options: Any) -> Question:
    """What nosana_market_info finds."""
    return Question(market_info_task, market_info_spec(), options)


class Tasks:
    """Asks for one plugin. `options` are all that the plugin was given; whatever goes wrong is raised as `failure`, of one masked sentence.

    warn: displays a warning; Ansible's own display unless given.
    """

    def __init__(self, options: Mapping[str, Any], failure: Callable[[str], Exception], warn: Callable[[str], None] | None = None) -> None:
        trouble = library_trouble()
        if trouble is not None:
            raise failure(trouble)
        self._options = options
        self._failure = failure
        self._display = warn or Display().warning
        self._masker = Masker()
        self._learn(option_secrets(options))

    def ask(self, *questions: Question) -> list[Answer]:
        """The answers to all questions, which are asked together. Warnings are displayed."""
        return asyncio.run(self.answers(*questions))

    async def answers(self, *questions: Question) -> list[Answer]:
        """The same for a plugin that has an event loop itself."""
        try:
            parameters = [checked({**self._options, **question.options}, question.spec) for question in questions]
            results = await self._together(questions, parameters)
        except NosanaError as error:
            raise self._failure(self._masker.text(str(error))) from None
        except Exception as error:  # a fault of ours; its message may quote anything
            place = traceback.extract_tb(error.__traceback__)[-1]
            raise self._failure(
                f"nosana.compute failed in a way that it should not ({type(error).__name__} at {os.path.basename(place.filename)}:"
                f"{place.lineno}); please report it."
            ) from None
        self._warn([warning for result in results for warning in result.warnings])
        return [Answer(self._shown(result), result.incomplete) for result in results]

    def check(self, options: Mapping[str, Any], spec: Spec) -> dict[str, Any]:
        """Options of the plugin's own, checked as those of the tasks are."""
        try:
            return checked(options, spec)
        except NosanaError as error:
            raise self._failure(self._masker.text(str(error))) from None

    async def _together(self, questions: Sequence[Question], parameters: Sequence[dict[str, Any]]) -> list[TaskResult]:
        def learn(secrets: list[str]) -> None:
            self._learn(foreign(secrets))

        pairs = zip(questions, parameters, strict=True)
        return await asyncio.gather(
            *(question.task(given, learn=learn) if question.learns else question.task(given) for question, given in pairs)
        )

    def _learn(self, secrets: Sequence[str]) -> None:
        """From now on these are masked, by us and, from ansible-core 2.22 on, by Ansible."""
        register(set(), self._masker.add(secrets))

    def _warn(self, warnings: Sequence[str]) -> None:
        sentences = list(dict.fromkeys(warnings))
        for sentence in sentences[:_MOST_WARNINGS]:
            self._display(self._masker.text(sentence))
        if len(sentences) > _MOST_WARNINGS:
            self._display(f"{len(sentences) - _MOST_WARNINGS} more warnings of nosana.compute are not shown.")

    def _shown(self, result: TaskResult) -> list[dict[str, Any]]:
        (found,) = (value for value in result.values.values() if isinstance(value, list))
        shown: list[dict[str, Any]] = _bounded(self._masker.value(found))
        return shown


def checked(options: Mapping[str, Any], spec: Spec) -> dict[str, Any]:
    """The parameters of a task, from options that may be more than it has. An empty text or list counts as not given."""
    given = {name: value for name, value in options.items() if name in spec and value not in (None, "", [], [""])}
    validated = ArgumentSpecValidator(spec).validate(given)
    if validated.error_messages:
        raise InvalidInput(f"{'; '.join(validated.error_messages)}.")
    parameters: dict[str, Any] = validated.validated_parameters
    return parameters


def with_environment(options: Mapping[str, Any]) -> dict[str, Any]:
    """The connection options, by their environment variables where they are not given, for a plugin whose options Ansible does not read."""
    found = {}
    for name, option in connection_spec().items():
        value = options.get(name)
        if value in (None, "", []):
            value = next((os.environ[variable] for variable in option["fallback"][1] if os.environ.get(variable)), None)
        found[name] = value
    return found


def node_domain(options: Mapping[str, Any]) -> str:
    """The domain of hosts and services, by the options node_domain and network or their environment variables."""
    parameters = checked(options, {name: connection_spec()[name] for name in ("network", "node_domain")})
    return str(parameters["node_domain"] or NETWORKS[parameters["network"]].node_domain)


def _bounded(value: Any) -> Any:
    """The same with texts of bounded length: names and documents are whatever somebody has pinned."""
    if isinstance(value, str):
        return value[:_MOST_CHARACTERS]
    if isinstance(value, dict):
        return {_bounded(key): _bounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_bounded(item) for item in value]
    return value
