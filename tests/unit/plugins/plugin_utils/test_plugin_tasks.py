"""The connection options of the plugins are those of the modules, variables included."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
import yaml

from ansible_collections.nosana.compute.plugins.doc_fragments._plugin_connection import ModuleDocFragment
from ansible_collections.nosana.compute.plugins.module_utils._ansible.options import connection_spec


def test_the_same_options_with_the_same_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    documented = yaml.safe_load(ModuleDocFragment.DOCUMENTATION)["options"]
    spec = connection_spec()
    assert list(documented) == list(spec)
    assert {name: option["env"] for name, option in documented.items()} == {
        name: [{"name": option["fallback"][1][0]}] for name, option in spec.items()
    }
    # Ansible takes an empty variable for a value, and quotes what it cannot convert.
    assert not [name for name, option in documented.items() if {"choices", "default"} & set(option) or option["type"] != "raw"]
