"""Stands in for the collection awx.awx where that cannot be had: its modules' documented options, and an AWX that is one JSON file.

What it is good for: unknown or ill-typed options, names of things that were not made before, and whether a second run changes something
are noticed. What it cannot show is AWX itself.
"""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def _texts(*names: str) -> dict[str, Any]:
    return {name: {} for name in names}


def _bools(*names: str) -> dict[str, Any]:
    return {name: {"type": "bool"} for name in names}


def _lists(*names: str) -> dict[str, Any]:
    return {name: {"type": "list", "elements": "str"} for name in names}


NAME: dict[str, Any] = {
    "name": {"required": True},
    "new_name": {},
    "description": {},
    "state": {"default": "present", "choices": ["present", "absent"]},
}
DICT, INT = {"type": "dict"}, {"type": "int"}
ASKED = (
    "diff_mode",
    "variables",
    "limit",
    "tags",
    "skip_tags",
    "job_type",
    "verbosity",
    "inventory",
    "credential",
    "execution_environment",
)
ASKED += ("forks", "instance_groups", "job_slice_count", "labels", "timeout", "scm_branch")
SPECS: dict[str, dict[str, Any]] = {
    "credential_type": {
        **NAME,
        "kind": {"choices": ["ssh", "vault", "net", "scm", "cloud", "insights"]},
        "inputs": DICT,
        "injectors": DICT,
    },
    "credential": {
        **NAME,
        **_texts("copy_from", "organization", "credential_type", "user", "team"),
        "inputs": {"type": "dict", "no_log": True},
        "update_secrets": {"type": "bool", "default": True, "no_log": False},
    },
    "execution_environment": {
        **NAME,
        **_texts("organization", "credential"),
        "image": {"required": True},
        "pull": {"choices": ["always", "missing", "never"], "default": "missing"},
    },
    "project": {
        **NAME,
        **_texts("copy_from", "scm_url", "local_path", "scm_branch", "scm_refspec", "credential", "default_environment", "organization"),
        **_bools(
            "scm_clean", "scm_delete_on_update", "scm_track_submodules", "scm_update_on_launch", "allow_override", "wait", "update_project"
        ),
        "scm_type": {"choices": ["manual", "git", "svn", "insights", "archive"]},
        "scm_update_cache_timeout": INT,
        "timeout": INT,
    },
    "inventory": {
        **NAME,
        **_texts("copy_from", "host_filter"),
        **_lists("instance_groups", "input_inventories"),
        "organization": {"required": True},
        "variables": DICT,
        "kind": {"choices": ["", "smart", "constructed"]},
    },
    "host": {**NAME, "inventory": {"required": True}, "enabled": {"type": "bool"}, "variables": DICT},
    "inventory_source": {
        **NAME,
        **_texts("source_path", "enabled_var", "enabled_value", "host_filter", "limit", "credential", "execution_environment"),
        **_texts("source_project", "scm_branch", "organization"),
        **_bools("overwrite", "overwrite_vars", "update_on_launch"),
        "inventory": {"required": True},
        "source": {
            "choices": ["scm", "ec2", "gce", "azure_rm", "vmware", "satellite6", "openstack", "rhv", "controller", "insights", "hcloud"]
        },
        "source_vars": DICT,
        "timeout": INT,
        "verbosity": {"type": "int", "choices": [0, 1, 2]},
        "update_cache_timeout": INT,
    },
    "job_template": {
        **NAME,
        **_texts(
            "copy_from",
            "organization",
            "inventory",
            "project",
            "playbook",
            "execution_environment",
            "limit",
            "job_tags",
            "skip_tags",
            "scm_branch",
        ),
        **_lists("credentials", "instance_groups", "labels"),
        **_bools("force_handlers", "use_fact_cache", "survey_enabled", "become_enabled", "diff_mode", "allow_simultaneous"),
        **_bools(*(f"ask_{name}_on_launch" for name in ASKED)),
        "job_type": {"choices": ["run", "check"]},
        "forks": INT,
        "verbosity": {"type": "int", "choices": [0, 1, 2, 3, 4]},
        "timeout": INT,
        "job_slice_count": INT,
        "extra_vars": DICT,
        "survey_spec": DICT,
    },
    "workflow_job_template": {
        **NAME,
        **_texts("copy_from", "organization", "inventory", "limit", "scm_branch"),
        **_lists("labels"),
        **_bools(
            "allow_simultaneous", "ask_variables_on_launch", "ask_inventory_on_launch", "ask_scm_branch_on_launch", "ask_limit_on_launch"
        ),
        **_bools("survey_enabled"),
        "extra_vars": DICT,
        "survey_spec": {"type": "dict", "aliases": ["survey"]},
        "schema": {"type": "list", "elements": "dict"},
        "destroy_current_schema": {"type": "bool", "default": False},
    },
}
# Option → the kind of thing that it names, which has to be there.
REFERENCES = {
    "credential_type": "credential_type",
    "credential": "credential",
    "credentials": "credential",
    "execution_environment": "execution_environment",
    "default_environment": "execution_environment",
    "project": "project",
    "source_project": "project",
    "inventory": "inventory",
}
_MODULE = '''"""Stands in for awx.awx.{kind}."""
import json
import os

from ansible.module_utils.basic import AnsibleModule

SPEC, REFERENCES = json.loads({spec!r}), json.loads({references!r})


def main():
    module = AnsibleModule(SPEC, supports_check_mode=True)
    path = os.environ["AWX_STAND_IN"]
    with open(path, encoding="utf-8") as file:
        things = json.load(file)
    given = {{name: value for name, value in module.params.items() if value is not None}}
    update_secrets = given.pop("update_secrets", False)
    wanted = [(REFERENCES[option], value) for option, value in given.items() if option in REFERENCES]
    wanted = [(kind, name) for kind, names in wanted for name in (names if isinstance(names, list) else [names])]
    nodes = [node["unified_job_template"] for node in given.get("schema") or []]
    for kind, name in wanted + [(node["type"], node["name"]) for node in nodes]:
        if name not in [thing["name"] for key, thing in things.items() if key.startswith(kind + "/")]:
            module.fail_json(msg="There is no %s %s." % (kind, name))
    key = "/".join(["{kind}", given.get("inventory", "") if "{kind}" == "host" else "", given["name"]])
    before = things.get(key)
    changed = before != given
    if "{kind}" == "credential" and before and not update_secrets:
        changed = sorted(before["inputs"]) != sorted(given["inputs"])  # AWX does not tell what it keeps
    if changed and not module.check_mode:
        things[key] = given
        with open(path, "w", encoding="utf-8") as file:
            json.dump(things, file)
    module.exit_json(changed=changed)


main()
'''


def install(collections: Path) -> None:
    """Writes the collection below a collections path."""
    modules = collections / "ansible_collections" / "awx" / "awx" / "plugins" / "modules"
    modules.mkdir(parents=True)
    (modules.parents[1] / "galaxy.yml").write_text("namespace: awx\nname: awx\nversion: 24.6.1\n", encoding="utf-8")
    for kind, spec in SPECS.items():
        text = _MODULE.format(kind=kind, spec=json.dumps(spec), references=json.dumps(REFERENCES))
        (modules / f"{kind}.py").write_text(text, encoding="utf-8")
