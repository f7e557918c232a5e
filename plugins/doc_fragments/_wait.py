"""Documentation of the waiting options; twin of wait_spec in module_utils/_ansible/options.py."""
# Copyright (c) 2026, The nosana.compute contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection and may change without notice.

from __future__ import annotations


class ModuleDocFragment:
    """The options that say what to wait for and how long."""

    DOCUMENTATION = r"""
options:
  wait_for:
    description:
      - When to return. Nothing is waited for with O(state=absent) and in check mode.
      - V(posted) returns as soon as the chain has confirmed the transaction. It is the default.
      - V(running) waits until a host runs the job.
      - V(ready) waits until every exposed port answers at its URL.
      - V(completed) waits until the job has succeeded. The task fails when the job failed or was removed.
    type: str
    choices: [posted, running, ready, completed]
  wait_for_completion:
    description:
      - V(true) means the same as O(wait_for=completed), V(false) the same as O(wait_for=posted).
    type: bool
  wait_timeout:
    description:
      - How long to wait at most, in seconds. When it is over the task fails and returns the last state; the job goes on.
      - A wait that is interrupted (Ctrl-C, a cancelled AWX job) ends at once. The job goes on and costs then, too.
    type: int
    default: 300
    aliases: [completion_timeout_seconds]
  wait_sleep:
    description:
      - How long to sleep between two looks, in seconds.
      - Where the Python library C(websockets) is installed and the RPC node has PubSub, what happens to the job on the chain is noticed within
        a second or so, however long this is, so that V(30) or more spares the node in long waits. Otherwise it is noticed after this time at
        the latest, as is a service that answers (O(wait_for=ready)).
    type: float
    default: 2.0
"""
