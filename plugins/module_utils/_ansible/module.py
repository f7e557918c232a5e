"""The one place that talks to AnsibleModule: reads options, exits, masks, and holds the only fail_json of the collection."""
# Copyright (c) 2026, The nosana.compute contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection and may change without notice.

from __future__ import annotations

import asyncio
import json
import sys
import traceback
from collections.abc import Iterable
from typing import Any, NoReturn

from ansible.module_utils.basic import AnsibleModule

from .run import KINDS, Context, reply
from .secrets import Masker, foreign, option_secrets, register, shown_options, withheld


class MaskedModule(AnsibleModule):  # type: ignore[misc]
    """AnsibleModule whose every way out is masked by us, so that it is the same on every ansible-core.

    Its constructor already writes to the system's log and may already fail, hence what these two need is made when it is first asked for.
    """

    no_log_values: set[str]
    _masker: Masker | None = None

    @property
    def masker(self) -> Masker:
        """Knows the secrets of the options, and what was learned since."""
        if self._masker is None:
            self._masker = Masker()
            params = getattr(self, "params", {})
            self.no_log_values = withheld(self.no_log_values, params)
            self.learn(option_secrets(params))
        return self._masker

    def learn(self, values: Iterable[str]) -> None:
        """From now on these are masked."""
        register(self.no_log_values, self.masker.add(values))

    def learn_foreign(self, values: Iterable[str]) -> None:
        """The same for a definition from IPFS."""
        self.learn(foreign(values))

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


def run(name: str) -> None:
    """A module's main."""
    kind = KINDS[name]
    module = MaskedModule(argument_spec=kind.spec(), supports_check_mode=True, **kind.rules)
    answer = reply(kind, module.params, Context(module.check_mode, module.learn_foreign), diff=module._diff, run=asyncio.run)
    for warning in answer.warnings:
        module.warn(warning)
    if answer.message is not None:
        module.fail_json(msg=answer.message, exception=answer.error, **answer.values)
    module.exit_json(**answer.values)
