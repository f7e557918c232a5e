"""Documentation of what every module supports: check mode, diff, idempotency, platform, action group."""
# Copyright (c) 2026, The nosana.compute contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection and may change without notice.

from __future__ import annotations


class ModuleDocFragment:
    """The attributes; a module that supports less says so itself."""

    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in C(check_mode) and return changed status prediction without modifying target.
    support: full
  diff_mode:
    description: Will return details on what has changed (or possibly needs changing in C(check_mode)), when in diff mode.
    support: full
  idempotent:
    description:
      - When run twice in a row outside check mode, with the same arguments, the second invocation indicates no change.
    support: full
  platform:
    description: Target OS/families that can be operated against.
    support: full
    platforms: posix
"""

    ACTION_PLUGIN = r"""
options: {}
attributes:
  action:
    description: Indicates this has a corresponding action plugin so some parts of the options can be executed on the controller.
    support: full
    details:
      - Runs in the controller's own process where the module would run on the controller with the controller's Python, and is waited for.
        Everywhere else the module is started. Both give the same result.
  async:
    description: Supports being used with the C(async) keyword.
    support: full
"""

    ACTIONGROUP_NOSANA = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/nosana.compute.nosana) in C(module_defaults) to set defaults for this module.
    support: full
    membership:
      - nosana.compute.nosana
"""

    INFO_MODULE = r"""
options: {}
attributes:
  check_mode:
    description: Can run in C(check_mode) and return changed status prediction without modifying target.
    support: full
    details:
      - This module does not modify state.
  diff_mode:
    description: Will return details on what has changed (or possibly needs changing in C(check_mode)), when in diff mode.
    support: N/A
    details:
      - This module does not modify state.
  idempotent:
    description:
      - When run twice in a row outside check mode, with the same arguments, the second invocation indicates no change.
    support: full
    details:
      - This module does not modify state.
  platform:
    description: Target OS/families that can be operated against.
    support: full
    platforms: posix
"""
