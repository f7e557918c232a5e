"""What every module does between its options and its result, wherever it runs: the options' spec, the task, the sentence when it fails."""
# Copyright (c) 2026, The nosana.compute contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection and may change without notice.

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

from .._clients.errors import NosanaError
from .._jobs.progress import Tell
from .._libraries import library_trouble
from . import tasks
from .options import JOB_INFO_RULES, JOB_RULES, MARKET_INFO_RULES, job_info_spec, job_spec, market_info_spec, wallet_info_spec
from .tasks import GiveConnections, Learn, Params, TaskResult

_DEBUG = "NOSANA_DEBUG"


@dataclass(frozen=True)
class Context:
    """How a task is run. `learn` is told secrets that are found on the way; `connections` gives some that outlive it; `tell` is told how
    things stand while a job is waited for.
    """

    check_mode: bool
    learn: Learn
    connections: GiveConnections | None = None
    tell: Tell | None = None


@dataclass(frozen=True)
class Kind:
    """One module: its options, the rules between them, and what it does."""

    spec: Callable[[], dict[str, dict[str, Any]]]
    start: Callable[[Params, Context], Coroutine[Any, Any, TaskResult]]
    rules: Mapping[str, Any] = field(default_factory=dict)


KINDS = {
    "nosana_job": Kind(
        job_spec,
        lambda params, to: tasks.job_task(params, check_mode=to.check_mode, learn=to.learn, connections=to.connections, tell=to.tell),
        JOB_RULES,
    ),
    "nosana_job_info": Kind(
        job_info_spec, lambda params, to: tasks.job_info_task(params, learn=to.learn, connections=to.connections), JOB_INFO_RULES
    ),
    "nosana_market_info": Kind(
        market_info_spec, lambda params, to: tasks.market_info_task(params, connections=to.connections), MARKET_INFO_RULES
    ),
    "nosana_wallet_info": Kind(wallet_info_spec, lambda params, to: tasks.wallet_info_task(params, connections=to.connections)),
}


@dataclass
class Reply:
    """What a task answers, before masking. `message` is None unless it failed; the values are returned beside it."""

    values: dict[str, Any]
    warnings: list[str] = field(default_factory=list)
    message: str | None = None
    error: Exception | None = None


def reply(
    kind: Kind,
    params: Params,
    context: Context,
    *,
    diff: bool,
    run: Callable[[Coroutine[Any, Any, TaskResult]], TaskResult],
) -> Reply:
    """Runs the task with validated options. `run` runs a coroutine to its end; nothing that goes wrong in it is raised."""
    trouble = library_trouble()
    if trouble is not None:
        return Reply({"failure": {"code": "missing_library", "retryable": False, "details": {}}}, message=trouble)
    try:
        result = run(kind.start(params, context))
    except NosanaError as error:
        return _failed(error, {}, [])
    except Exception as error:
        return _failed_unexpectedly(error)
    if not diff:
        result.values.pop("diff", None)
    if result.failure is not None:
        return _failed(result.failure, result.values, result.warnings)
    return Reply(result.values, result.warnings)


def _failed(error: NosanaError, values: dict[str, Any], warnings: list[str]) -> Reply:
    failure = {"code": error.code, "retryable": error.retryable, "details": error.details}
    return Reply({"failure": failure, **values}, warnings, str(error), error)


def _failed_unexpectedly(error: Exception) -> Reply:
    """A fault of ours: its type and the lines of code it came through. Its message may quote anything, so it is only shown when asked for."""
    frames = traceback.extract_tb(error.__traceback__)
    places = [f"{os.path.basename(frame.filename)}:{frame.lineno} in {frame.name}" for frame in frames]
    details: dict[str, Any] = {"type": type(error).__name__, "places": places}
    if os.environ.get(_DEBUG):
        details["traceback"] = "".join(traceback.format_exception(error)).splitlines()
    return Reply(
        {"failure": {"code": "internal_error", "retryable": False, "details": details}},
        message=f"nosana.compute failed in a way that it should not ({type(error).__name__} at {places[-1] if places else 'an unknown place'}); "
        f"please report it, with failure.details. {_DEBUG}=1 adds the whole traceback, in which known secrets are masked.",
    )
