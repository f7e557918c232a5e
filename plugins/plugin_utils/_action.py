"""Runs a module's task in the controller's own process where that means the same, and hands over to the module everywhere else."""
# Copyright (c) 2026, The nosana.compute contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection and may change without notice.
# The strategies load an action plugin in the process that all workers are forked from, so what is imported here is imported once for a play.

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from typing import Any

from ansible import constants as C
from ansible.errors import AnsibleError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.errors import UnsupportedError
from ansible.plugins.action.normal import ActionModule as NormalAction

from ansible_collections.nosana.compute.plugins.module_utils._ansible.run import KINDS, Context, Kind, Reply, reply
from ansible_collections.nosana.compute.plugins.module_utils._ansible.secrets import (
    Masker,
    foreign,
    no_log_values,
    option_secrets,
    register,
    shown_options,
    withheld,
    without,
)
from ansible_collections.nosana.compute.plugins.module_utils._ansible.session import Session
from ansible_collections.nosana.compute.plugins.module_utils._clients.errors import Interrupted
from ansible_collections.nosana.compute.plugins.module_utils._clients.http import warm_up
from ansible_collections.nosana.compute.plugins.module_utils._libraries import library_trouble
from ansible_collections.nosana.compute.plugins.plugin_utils._loop import may_be_repeated, next_names

# More do not fit into a request.
_MOST_AHEAD = 10


class NosanaAction(NormalAction):  # type: ignore[misc]
    """The action plugin of a module; the plugin's file names it."""

    kind: str

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """The module's result, whichever way it comes."""
        task_vars = task_vars or {}
        if not self._means_the_same_here(task_vars):
            return dict(super().run(tmp, task_vars))
        environment: dict[str, Any] = {}
        self._compute_environment_string(environment)
        with _as_a_module(environment, self._loader.get_basedir()):
            _worker.session().foresight.upcoming = self._next_names(task_vars)
            result = self._run_here(KINDS[self.kind])
        if not shows_invocation(task_vars):
            del result["invocation"]
        return result

    def _means_the_same_here(self, task_vars: Mapping[str, Any]) -> bool:
        """Whether the module would run on this machine, as this user, in this Python, and be waited for."""
        if self._task.async_val or self._connection.transport != "local" or getattr(self._connection, "become", None) is not None:
            return False
        host_vars = task_vars.get("ansible_delegated_vars", {}).get(self._task.delegate_to, {}) if self._task.delegate_to else task_vars
        interpreter = C.config.get_config_value("INTERPRETER_PYTHON", variables=host_vars)
        return is_this_python(str(self._templar.template(interpreter)))

    def _next_names(self, task_vars: Mapping[str, Any]) -> list[str]:
        """What the next items of the loop will ask for, as far as that can be told."""
        variable = task_vars.get("ansible_loop_var")
        if variable is None or self._task.loop_with or not may_be_repeated(self._task.loop):
            return []
        items = _worker.items_of(self._task._uuid, lambda: self._templar.template(self._task.loop))
        return next_names(str(self._task.args.get("name")), plain(task_vars.get(variable)), items, most=_MOST_AHEAD)

    def _run_here(self, kind: Kind) -> dict[str, Any]:
        spec = kind.spec()
        checked = ArgumentSpecValidator(spec, **kind.rules).validate(plain(self._task.args))
        params = checked.validated_parameters
        hidden: set[str] = set()
        masker = Masker()
        register(hidden, withheld(no_log_values(params, spec), params))
        register(hidden, masker.add(option_secrets(params)))

        def learn(values: list[str]) -> None:
            register(hidden, masker.add(foreign(values)))

        def tell(line: str) -> None:
            self._display.display(masker.text(line), stderr=True)  # what machines read comes on the other stream

        context = Context(self._task.check_mode, learn, _worker.session(), None if self._task.no_log else tell)
        answer = _refusal(checked, self._task.action) or reply(kind, params, context, diff=self._task.diff, run=_worker.run)
        for warning in [*both_named(self._task.args, spec), *answer.warnings]:
            self._display.warning(masker.text(warning))
        values = masker.value(answer.values) | {"invocation": {"module_args": shown_options(params, spec, masker)}}
        if answer.message is not None:
            values |= {"failed": True, "msg": masker.text(answer.message)}
            if isinstance(answer.error, Interrupted):
                last_words(values["msg"])
        return without(values, hidden)


def _refusal(checked: Any, action: str) -> Reply | None:
    """What AnsibleModule says of options that are not as the spec wants them; None when they are."""
    if not checked.error_messages:
        return None
    message = checked.errors.msg
    if isinstance(checked.errors[0], UnsupportedError):
        message = f"Unsupported parameters for ({action}) module: {message}"
    return Reply({}, message=message)


def shows_invocation(task_vars: Mapping[str, Any]) -> bool:
    """Whether results hold the options; before ansible-core 2.21 they always do."""
    try:
        return bool(C.config.get_config_value("INJECT_INVOCATION", variables=task_vars))
    except AnsibleError:
        return True


def both_named(args: Mapping[str, Any], spec: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """AnsibleModule's warnings of options that are given under two names."""
    pairs = [(name, alias) for name, option in spec.items() for alias in option.get("aliases", ()) if name in args and alias in args]
    return [f"Both option {name} and its alias {alias} are set." for name, alias in pairs]


class _Worker:
    """What stays from one item of a loop to the next, which one process runs one after the other: an event loop, and a session."""

    def __init__(self) -> None:
        self._runner: asyncio.Runner | None = None
        self._process = 0
        self._session = Session()
        self._task = ""
        self._items: list[Any] = []

    def session(self) -> Session:
        """Of this process, not of the one that it was forked from."""
        if self._process != os.getpid():
            self._runner, self._session, self._process = None, Session(), os.getpid()
        return self._session

    def items_of(self, task: str, work_out: Callable[[], Any]) -> list[Any]:
        """The items of a task's loop, worked out once."""
        if task != self._task:
            with contextlib.suppress(Exception):  # whatever is wrong with the loop has been said by Ansible
                items = plain(work_out())
                self._task, self._items = task, items if isinstance(items, list) else []
        return self._items if task == self._task else []

    def run(self, task: Any) -> Any:
        """Runs a coroutine to its end. What comes from outside, such as the end of a task's `timeout`, cancels it, so that it can say so."""
        self.session()
        self._runner = self._runner or asyncio.Runner()
        try:
            return self._runner.run(task)
        except Exception:
            raise
        except BaseException:
            self._runner.close()
            self._process = 0
            raise


# Workers have no standard error any more; what they say through Ansible is not printed once Ansible is interrupted.
_standard_error = os.dup(2)


def last_words(text: str) -> None:
    """Says something though Ansible has been told to end."""
    with contextlib.suppress(OSError):
        os.write(_standard_error, f"{text}\n".encode())


_worker = _Worker()
if library_trouble() is None:
    warm_up("sqlite3")  # of the cache, which imports it when it is first used


@contextmanager
def _as_a_module(environment: Mapping[str, Any], directory: str) -> Iterator[None]:
    """The environment and the folder that the module would be started with, for the time of a task."""
    before, place = dict(os.environ), os.open(".", os.O_RDONLY)
    os.environ.update({str(name): str(value) for name, value in environment.items()})
    try:
        os.chdir(directory)
        yield
    finally:
        os.fchdir(place)
        os.close(place)
        os.environ.clear()
        os.environ.update(before)


def is_this_python(interpreter: str) -> bool:
    """Whether an interpreter is the one that runs this. A link to the same file from elsewhere is another one: a virtual environment."""
    path = shutil.which(os.path.expanduser(interpreter))
    return path is not None and _place(path) == _place(sys.executable)


def _place(path: str) -> tuple[str, str]:
    return os.path.realpath(os.path.dirname(path)), os.path.realpath(path)


def plain(value: Any) -> Any:
    """A value as a module gets it: what JSON has, without what Ansible attaches to it on the controller."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {plain(key): plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return [plain(item) for item in value]
    return "".join(str(value))  # a copy that is nothing but text
