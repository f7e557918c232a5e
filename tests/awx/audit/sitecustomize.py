"""Loaded by every Python of a run: notes each file that is opened, and whether for writing, in the file AUDIT_FILE."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import sys
import threading

_FILE = os.environ.get("AUDIT_FILE")
_CHANGES = {"os.mkdir", "os.rename", "os.link", "os.symlink", "os.remove", "os.rmdir", "os.chmod", "os.truncate", "os.utime"}
_busy = threading.local()

if _FILE:
    _out = os.open(_FILE, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def _note(event: str, arguments: tuple[object, ...]) -> None:
        if (event not in _CHANGES and event not in ("open", "sqlite3.connect")) or getattr(_busy, "now", False):
            return
        path = arguments[1] if event in ("os.rename", "os.link", "os.symlink") else arguments[0]
        if not isinstance(path, (str, bytes, os.PathLike)):
            return
        writes = event != "open" or bool(int(arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))  # type: ignore[call-overload]
        _busy.now = True
        try:
            where = os.path.abspath(os.fsdecode(path).removeprefix("file://"))
            os.write(_out, f"{'write' if writes else 'read'} {where!r}\n".encode())
        except OSError:
            pass
        finally:
            _busy.now = False

    sys.addaudithook(_note)
