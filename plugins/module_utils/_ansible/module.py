"""The one place that talks to AnsibleModule: reads options, exits, and holds the only fail_json of the collection."""
# Copyright (c) 2026, The nosana.compute contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection and may change without notice.

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from .._clients.errors import NosanaError
from .._libraries import MISSING_LIBRARY, MISSING_TRACEBACK
from . import tasks
from .options import JOB_INFO_RULES, JOB_RULES, MARKET_INFO_RULES, job_info_spec, job_spec, market_info_spec, wallet_info_spec
from .secrets import register, url_secrets


def run_job() -> None:
    """nosana_job's main."""
    module = AnsibleModule(argument_spec=job_spec(), supports_check_mode=True, **JOB_RULES)
    _run(module, lambda: tasks.job_task(module.params, check_mode=module.check_mode))


def run_job_info() -> None:
    """nosana_job_info's main."""
    module = AnsibleModule(argument_spec=job_info_spec(), supports_check_mode=True, **JOB_INFO_RULES)
    _run(module, lambda: tasks.job_info_task(module.params))


def run_market_info() -> None:
    """nosana_market_info's main."""
    module = AnsibleModule(argument_spec=market_info_spec(), supports_check_mode=True, **MARKET_INFO_RULES)
    _run(module, lambda: tasks.market_info_task(module.params))


def run_wallet_info() -> None:
    """nosana_wallet_info's main."""
    module = AnsibleModule(argument_spec=wallet_info_spec(), supports_check_mode=True)
    _run(module, lambda: tasks.wallet_info_task(module.params))


def _run(module: AnsibleModule, start: Callable[[], Coroutine[Any, Any, tasks.TaskResult]]) -> None:
    if MISSING_LIBRARY is not None:
        module.fail_json(msg=missing_required_lib(MISSING_LIBRARY), exception=MISSING_TRACEBACK)
    register(module, [secret for name in ("rpc_url", "ipfs_api_url", "ipfs_gateway_url") for secret in url_secrets(module.params[name])])
    try:
        register(module, tasks.definition_secrets(module.params))
        result = asyncio.run(start())
    except NosanaError as error:
        return _fail(module, error, {})
    for warning in result.warnings:
        module.warn(warning)
    if result.failure is not None:
        return _fail(module, result.failure, result.values)
    if not module._diff:
        result.values.pop("diff", None)
    module.exit_json(**result.values)


def _fail(module: AnsibleModule, error: NosanaError, values: dict[str, Any]) -> None:
    module.fail_json(msg=str(error), failure={"code": error.code, "retryable": error.retryable, "details": error.details}, **values)
