"""The one place that talks to AnsibleModule: reads options, exits, masks, and holds the only fail_json of the collection."""
# Copyright (c) 2026, The nosana.compute contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection and may change without notice.

from __future__ import annotations

import asyncio
import json
import os
import sys
import traceback
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, NoReturn

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from .._clients.errors import NosanaError
from .._jobs.sensitive import SHORTEST_VALUE
from .._libraries import MISSING_LIBRARY, MISSING_TRACEBACK
from . import tasks
from .options import JOB_INFO_RULES, JOB_RULES, MARKET_INFO_RULES, job_info_spec, job_spec, market_info_spec, wallet_info_spec
from .secrets import Masker, option_secrets, register, shown_options

_DEBUG = "NOSANA_DEBUG"
_SHORTEST_FOREIGN_WORD = 12


class MaskedModule(AnsibleModule):  # type: ignore[misc]
    """AnsibleModule whose every way out is masked by us, so that it is the same on every ansible-core.

    Its constructor already writes to the system's log and may already fail, hence what these two need is made when it is first asked for.
    """

    _masker: Masker | None = None

    @property
    def masker(self) -> Masker:
        """Knows the secrets of the options, and what was learned since."""
        if self._masker is None:
            self._masker = Masker()
            params = getattr(self, "params", {})
            # Ansible hides every no_log value wherever it stands. A key given as a list makes a secret of each of its numbers, and so blanks
            # all digits; the name of a key file is no secret.
            path = params.get("wallet")
            names_a_file = isinstance(path, str) and os.path.isfile(os.path.expanduser(path))
            self.no_log_values -= {value for value in self.no_log_values if len(value) < SHORTEST_VALUE or (names_a_file and value == path)}
            self.learn(option_secrets(params))
        return self._masker

    def learn(self, values: Iterable[str]) -> None:
        """From now on these are masked."""
        register(self, self.masker.add(values))

    def learn_foreign(self, values: Iterable[str]) -> None:
        """The same for a definition from IPFS. Somebody else's must not be able to blank ordinary words, such as a status, in our result."""
        self.learn(value for value in values if len(value) >= _SHORTEST_FOREIGN_WORD or not value.isalpha())

    def log(self, msg: Any, log_args: dict[str, Any] | None = None) -> None:
        """What goes to syslog or the journal. `log_args` are the options, which come here before anything could be registered."""
        if log_args:
            log_args = {name: json.dumps(value) for name, value in self._shown().items()}
            msg = "Invoked with " + " ".join(f"{name}={value}" for name, value in log_args.items())
        super().log(self.masker.text(msg if isinstance(msg, str) else str(msg)), log_args=log_args)

    def warn(self, warning: str, **more: Any) -> None:
        """A warning."""
        super().warn(self.masker.text(warning), **more)

    def exit_json(self, **kwargs: Any) -> NoReturn:
        """The result of a task that did what it should."""
        super().exit_json(**self._masked(kwargs))
        raise SystemExit(0)  # never reached; tells the type checker so

    def fail_json(self, msg: Any, **kwargs: Any) -> NoReturn:
        """The result of a task that did not. With ANSIBLE_DISPLAY_TRACEBACK it has a traceback, which quotes messages."""
        values = self._masked(kwargs)
        error = kwargs.get("exception", sys.exc_info()[1])
        if isinstance(error, BaseException):
            error = "".join(traceback.format_exception(error))
        if isinstance(error, str):
            values["exception"] = self.masker.text(error)
        super().fail_json(msg=self.masker.text(str(msg)), **values)
        raise SystemExit(1)

    def _masked(self, values: dict[str, Any]) -> dict[str, Any]:
        return {**self.masker.value(values), "invocation": {"module_args": self._shown()}}

    def _shown(self) -> dict[str, Any]:
        return shown_options(getattr(self, "params", {}), self.argument_spec, self.masker)


def run_job() -> None:
    """nosana_job's main."""
    module = MaskedModule(argument_spec=job_spec(), supports_check_mode=True, **JOB_RULES)
    _run(module, lambda: tasks.job_task(module.params, check_mode=module.check_mode, learn=module.learn_foreign))


def run_job_info() -> None:
    """nosana_job_info's main."""
    module = MaskedModule(argument_spec=job_info_spec(), supports_check_mode=True, **JOB_INFO_RULES)
    _run(module, lambda: tasks.job_info_task(module.params, learn=module.learn_foreign))


def run_market_info() -> None:
    """nosana_market_info's main."""
    module = MaskedModule(argument_spec=market_info_spec(), supports_check_mode=True, **MARKET_INFO_RULES)
    _run(module, lambda: tasks.market_info_task(module.params))


def run_wallet_info() -> None:
    """nosana_wallet_info's main."""
    module = MaskedModule(argument_spec=wallet_info_spec(), supports_check_mode=True)
    _run(module, lambda: tasks.wallet_info_task(module.params))


def _run(module: MaskedModule, start: Callable[[], Coroutine[Any, Any, tasks.TaskResult]]) -> None:
    if MISSING_LIBRARY is not None:
        module.fail_json(msg=missing_required_lib(MISSING_LIBRARY), exception=MISSING_TRACEBACK)
    try:
        result = asyncio.run(start())
    except NosanaError as error:
        return _fail(module, error, {})
    except Exception as error:
        return _fail_unexpectedly(module, error)
    for warning in result.warnings:
        module.warn(warning)
    if result.failure is not None:
        return _fail(module, result.failure, result.values)
    if not module._diff:
        result.values.pop("diff", None)
    module.exit_json(**result.values)


def _fail(module: MaskedModule, error: NosanaError, values: dict[str, Any]) -> None:
    module.fail_json(msg=str(error), failure={"code": error.code, "retryable": error.retryable, "details": error.details}, **values)


def _fail_unexpectedly(module: MaskedModule, error: Exception) -> None:
    """A fault of ours: its type and the lines of code it came through. Its message may quote anything, so it is only shown when asked for."""
    frames = traceback.extract_tb(error.__traceback__)
    places = [f"{os.path.basename(frame.filename)}:{frame.lineno} in {frame.name}" for frame in frames]
    details: dict[str, Any] = {"type": type(error).__name__, "places": places}
    if os.environ.get(_DEBUG):
        details["traceback"] = "".join(traceback.format_exception(error)).splitlines()
    module.fail_json(
        msg=f"nosana.compute failed in a way that it should not ({type(error).__name__} at {places[-1] if places else 'an unknown place'}); "
        f"please report it, with failure.details. {_DEBUG}=1 adds the whole traceback, in which known secrets are masked.",
        exception=None,
        failure={"code": "internal_error", "retryable": False, "details": details},
    )
