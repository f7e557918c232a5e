"""Ansible finds the collection's plugins as it does for a user; ansible-test has seen to that already."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

try:
    from ansible.plugins.loader import init_plugin_loader
    from ansible.utils.collection_loader import AnsibleCollectionConfig
except ImportError:
    pass  # ansible-test gives tests of modules what modules have, which is no plugin
else:
    if AnsibleCollectionConfig.collection_finder is None:
        init_plugin_loader()
