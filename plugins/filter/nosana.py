"""The filters nosana_cid and nosana_service_url: what the network would compute, offline. Each is documented in the .yml of its name."""
# Copyright (c) 2026, The nosana.compute contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.nosana.compute.plugins.module_utils._clients.errors import InvalidInput, NosanaError
from ansible_collections.nosana.compute.plugins.module_utils._clients.ipfs import cid_of, encode_document
from ansible_collections.nosana.compute.plugins.module_utils._clients.node import service_url
from ansible_collections.nosana.compute.plugins.module_utils._clients.rest import is_address
from ansible_collections.nosana.compute.plugins.module_utils._jobs.definition import declare, parse
from ansible_collections.nosana.compute.plugins.module_utils._libraries import library_trouble
from ansible_collections.nosana.compute.plugins.plugin_utils._tasks import node_domain as domain_of

_PORTS = re.compile(r"[1-9][0-9]{0,4}(-[1-9][0-9]{0,4})?\Z", re.ASCII)


def nosana_cid(document: Any, name: str | None = None) -> str:
    """The content address under which a document is pinned; with a name, that of the definition as nosana_job pins it."""

    def compute() -> str:
        if name is not None or isinstance(document, str):
            parsed = parse(document)
            return cid_of(encode_document(parsed if name is None else declare(parsed, name).document))
        return cid_of(encode_document(document))

    return _sentence(compute)


def nosana_service_url(job: Any, port: Any, op: Any = 0, network: str | None = None, node_domain: str | None = None) -> str:
    """The URL of an exposed port of a job."""

    def compute() -> str:
        if not is_address(job):
            raise InvalidInput("The value before the filter must be the address of a job.")
        if isinstance(op, bool) or not isinstance(op, int) or op < 0:
            raise InvalidInput("op must be the index of the op among all ops of the definition, from 0.")
        return service_url(op, _port(port), job, domain_of({"network": network, "node_domain": node_domain}))

    return _sentence(compute)


def _port(port: Any) -> str:
    """As it is hashed: a range is one text."""
    text = "" if isinstance(port, bool) or not isinstance(port, (int, str)) else str(port)
    if not _PORTS.match(text):
        raise InvalidInput("port must be a number, or a range as the definition has it, such as 8000-8010.")
    return text


def _sentence(compute: Callable[[], str]) -> str:
    """The result, or one sentence; Ansible says which filter it is."""
    trouble = library_trouble()
    if trouble is not None:
        raise AnsibleFilterError(trouble)
    try:
        return compute()
    except NosanaError as error:
        raise AnsibleFilterError(str(error)) from None


def _called_right(function: Callable[..., str]) -> Callable[..., str]:
    """The filter, which says in its own words that it was given too much or too little."""

    @functools.wraps(function)
    def called(*arguments: Any, **options: Any) -> str:
        try:
            inspect.signature(function).bind(*arguments, **options)
        except TypeError as error:
            raise AnsibleFilterError(f"{error}; see ansible-doc -t filter nosana.compute.{function.__name__}") from None
        return function(*arguments, **options)

    return called


class FilterModule:
    """The filters."""

    def filters(self) -> dict[str, Callable[..., str]]:
        """By name."""
        return {function.__name__: _called_right(function) for function in (nosana_cid, nosana_service_url)}
