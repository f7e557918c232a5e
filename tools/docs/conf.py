"""How Sphinx builds the documentation site; tools/docs/build.py puts this file beside the pages."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
import zlib
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
REPOSITORY = "https://github.com/nosana-ci/nosana.compute/blob/main"

project = "nosana.compute"
html_title = "nosana.compute"
copyright = "2026 The nosana.compute contributors"

extensions = ["myst_parser", "sphinx.ext.intersphinx", "sphinx_antsibull_ext"]
myst_heading_anchors = 3
highlight_language = "text"
# Sentences and values are searched for and copied, so quotes stay as they are printed.
smartquotes = False

html_theme = "furo"
html_show_sphinx = False
html_copy_source = False
html_static_path = ["site.css"]
html_css_files = ["site.css"]

# What the reference names of Ansible's own documentation. The list is written here, so that nothing is fetched to build the site.
ANSIBLE = {
    "std:label": {
        "ansible_collections.ansible.builtin.set_fact_module": "collections/ansible/builtin/set_fact_module.html",
        "action_plugins": "plugins/action.html#action-plugins",
        "ansible_configuration_settings": "reference_appendices/config.html#ansible-configuration-settings",
        "common_return_values": "reference_appendices/common_return_values.html#common-return-values",
    },
    "std:envvar": {
        f"ANSIBLE_CACHE_PLUGIN{more}": f"reference_appendices/config.html#envvar-ANSIBLE_CACHE_PLUGIN{more}"
        for more in ("", "_CONNECTION", "_PREFIX", "_TIMEOUT")
    },
}


def _inventory(entries: dict[str, dict[str, str]]) -> bytes:
    lines = [f"{name} {kind} -1 {where} {name}\n" for kind, found in entries.items() for name, where in found.items()]
    head = "# Sphinx inventory version 2\n# Project: Ansible\n# Version: \n# The remainder of this file is compressed using zlib.\n"
    return head.encode() + zlib.compress("".join(lines).encode())


(HERE / "ansible.inv").write_bytes(_inventory(ANSIBLE))
intersphinx_mapping = {"ansible": ("https://docs.ansible.com/projects/ansible/latest/", "ansible.inv")}


def setup(app: Any) -> None:
    app.connect("source-read", _lead_out)
    app.connect("source-read", _without_contents)


def _lead_out(app: Any, name: str, source: list[str]) -> None:
    """A link of a page to a file outside docs/ leads into the repository; links.py sees that the file is there."""
    source[0] = re.sub(r"\]\(\.\./", f"]({REPOSITORY}/", source[0])


def _without_contents(app: Any, name: str, source: list[str]) -> None:
    """The theme has a table of contents beside every page, and complains of a second one."""
    source[0] = re.sub(r"^\.\. contents::\n(?:[ ]+:.*\n)+", "", source[0], flags=re.MULTILINE)
