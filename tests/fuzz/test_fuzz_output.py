"""Whatever others wrote into names, logs, errors and documents: no way out of a module hands it to a terminal as it is, nor a secret in it."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testing import patch_module_args
from documents import CHARACTERS, TEXTS, UNPRINTABLE, WILD
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ansible_collections.nosana.compute.plugins.module_utils._ansible import module as glue
from ansible_collections.nosana.compute.plugins.module_utils._ansible.run import KINDS
from ansible_collections.nosana.compute.plugins.module_utils._ansible.tasks import TaskResult
from ansible_collections.nosana.compute.plugins.module_utils._clients.errors import Refused

SECRET = "planted-secret-1234"
PIECES = [
    "\x1b[31m",
    "\x1b]0;title\x07",
    "\x1b[2J",
    "\x9b2J",
    "\r",
    "\x08",
    "\x00",
    "\u202e",
    "\u2066",
    "\u2028",
    "\x7f",
    "\ud800",
    "\x1bc",
]
HOSTILE = st.lists(st.sampled_from(PIECES) | st.text(CHARACTERS, max_size=8) | st.just("word"), min_size=1, max_size=6).map("".join) | TEXTS
SPLIT = st.tuples(st.integers(1, len(SECRET) - 1), st.sampled_from(PIECES)).map(lambda at: SECRET[: at[0]] + at[1] + SECRET[at[0] :])


def whole(text: str) -> str:
    """Without halves of characters: ansible-core itself breaks on these in an option, before a module begins."""
    return text.encode("utf-8", "ignore").decode()


def leave(result: Any, *, name: str = "web") -> tuple[dict[str, Any], list[str]]:
    """What a module prints that comes to this result or exception, and what it logs."""
    logged: list[str] = []

    def log(self: Any, msg: str, log_args: Any = None) -> None:
        logged.append(f"{msg} {log_args}")

    async def task() -> TaskResult:
        if isinstance(result, Exception):
            raise result
        return result

    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(printed), patch_module_args({"name": name, "ipfs_jwt": SECRET}):
        patch.setattr(AnsibleModule, "log", log)
        patch.setenv("NOSANA_DEBUG", "1")
        patch.setitem(KINDS, "nosana_job_info", replace(KINDS["nosana_job_info"], start=lambda _params, _context: task()))
        with pytest.raises(SystemExit):
            glue.run("nosana_job_info")
    said: dict[str, Any] = json.loads(printed.getvalue().strip().splitlines()[-1])
    return said, logged


def texts(value: Any) -> Iterator[str]:
    """Every text in it, names included."""
    if isinstance(value, str):
        yield value
    for key, item in value.items() if isinstance(value, dict) else ((None, item) for item in value) if isinstance(value, list) else ():
        yield from texts(key)
        yield from texts(item)


def check(said: Any, logged: list[str]) -> None:
    for text in (*texts(said), *logged):
        assert not UNPRINTABLE.search(text), ascii(text)
        assert SECRET not in text


@settings(max_examples=max(settings().max_examples // 4, 30))  # each makes five modules
@given(message=HOSTILE | SPLIT, detail=HOSTILE | SPLIT | WILD, warning=HOSTILE | SPLIT, name=HOSTILE.map(whole))
@example(message="The market \x1b[2J\x1b]0;owned\x07 is \u202egone.", detail={"log_tail": ["\x9b31m"]}, warning="\r\x1b[1A", name="\x1b[8m")
@example(message=SECRET[:5] + "\x00" + SECRET[5:], detail=SECRET, warning=SECRET, name="web")
def test_every_way_out(message: str, detail: Any, warning: str, name: str) -> None:
    values = {
        "changed": False,
        "jobs": [{"name": message, "result": detail, "message": warning}],
        "diff": {"before": detail, "after": message},
    }
    for failure in (None, Refused(message, data=detail)):
        check(*leave(TaskResult(dict(values), [warning, message], failure), name=name))
    for error in (Refused(message, data=detail), ValueError(message), RuntimeError(warning)):
        check(*leave(error, name=name))


def test_what_people_write_is_left_as_it_is() -> None:
    plain = "Zeile eins\n\tZeile zwei: é 😀 日本語 עברית"
    said, _logged = leave(TaskResult({"changed": False, "jobs": [{"name": plain}]}))
    assert said["jobs"] == [{"name": plain}]
