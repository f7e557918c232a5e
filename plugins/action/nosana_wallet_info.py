"""nosana_wallet_info in the controller's own process, where that means the same as running the module."""
# Copyright (c) 2026, The nosana.compute contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.nosana.compute.plugins.plugin_utils._action import NosanaAction


class ActionModule(NosanaAction):
    """Found by Ansible under the module's name."""

    kind = "nosana_wallet_info"
