"""job: jobs of a wallet by their names, for templates."""
# Copyright (c) 2026, The nosana.compute contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: job
short_description: Look up jobs on the Nosana network by name
version_added: 0.1.0
description:
  - Returns the job of each name as M(nosana.compute.nosana_job_info) returns it.
  - Of several jobs of a name it is the one that is not over, or else the one that was posted last.
  - The network is asked each time that a template with the lookup is evaluated; keep the value with M(ansible.builtin.set_fact) when
    it is needed more than once.
author:
  - The nosana.compute contributors (@nosana-ci)
extends_documentation_fragment:
  - nosana.compute._plugin_connection
options:
  _terms:
    description: Names of jobs.
    type: list
    elements: str
    required: true
  include:
    description:
      - What is wanted of a job beside the job itself, as in M(nosana.compute.nosana_job_info).
    type: list
    elements: str
    choices: [definition, result, logs, cost]
    default: []
  default:
    description:
      - What to return for a name that no job has. Without it such a name is an error, which C(errors=ignore) and C(errors=warn) lessen as for
        every lookup.
    type: raw
seealso:
  - module: nosana.compute.nosana_job_info
"""

EXAMPLES = r"""
- name: Where the web server answers
  ansible.builtin.debug:
    msg: "{{ lookup('nosana.compute.job', 'web-server').services[0].url }}"

- name: Only when it runs
  ansible.builtin.uri:
    url: "{{ web.services[0].url }}"
  when: web.status == 'running'
  vars:
    web: "{{ lookup('nosana.compute.job', 'web-server', default={'status': 'absent'}) }}"

- name: The last line that two jobs have printed
  ansible.builtin.debug:
    msg: "{{ item.name }}: {{ (item.logs | last).text }}"
  loop: "{{ query('nosana.compute.job', 'training', 'evaluation', include=['logs']) }}"
"""

RETURN = r"""
_raw:
  description: The jobs, with the keys that RV(nosana.compute.nosana_job_info#module:jobs) has.
  type: list
  elements: dict
"""

from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from ansible_collections.nosana.compute.plugins.module_utils._ansible.options import connection_spec
from ansible_collections.nosana.compute.plugins.plugin_utils._tasks import Tasks, jobs

_NOT_OVER = ("pending", "running")


class LookupModule(LookupBase):  # type: ignore[misc]
    """The lookup plugin."""

    def run(self, terms: list[Any], variables: Any = None, **kwargs: Any) -> list[Any]:
        """The job of each name."""
        unknown = sorted(set(kwargs) - {"include", "default", *connection_spec()})
        if unknown:
            raise AnsibleLookupError(f"The lookup nosana.compute.job has no option {unknown[0]}.")
        self.set_options(var_options=variables, direct=kwargs)
        for term in terms:
            if not isinstance(term, str) or not term:
                raise AnsibleLookupError(
                    "The terms of the lookup nosana.compute.job are names of jobs, so each must be a text that is not empty."
                )
        options = {name: self.get_option(name) for name in connection_spec()}
        include = self.get_option("include")
        answers = Tasks(options, AnsibleLookupError).ask(*(jobs(name=name, include=include) for name in terms))
        found = []
        for name, answer in zip(terms, answers, strict=True):
            if not answer.found and "default" not in kwargs:
                raise AnsibleLookupError(f"The wallet has no job {name!r}; give default to go on without.")
            found.append(_current(answer.found) if answer.found else kwargs["default"])
        return found


def _current(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Of jobs of one name, oldest first."""
    return next((job for job in found if job["status"] in _NOT_OVER), found[-1])
