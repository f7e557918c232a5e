"""A base image for an execution environment, made of this machine without a registry: its Python, a shell, and wheels as the only package index."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from pathlib import Path

PYTHON = Path(getattr(sys, "_base_executable", sys.executable)).resolve()
LIBRARY = Path(sysconfig.get_path("stdlib"))
PROGRAMS = ("bash", "busybox", "getent")
PYTHON_IN_IMAGE = f"/usr/local/bin/{PYTHON.name}"
WHEELS = "/wheels"
LOCALE = Path("/usr/lib/locale/C.utf8")  # Ansible does not start without UTF-8
# Libraries that wheels and names need, and that nothing in the image is linked with.
_ALSO = ("libgcc_s.so.1", "libpthread.so.0", "libdl.so.2", "librt.so.1", "libutil.so.1", "libnss_files.so.2", "libnss_dns.so.2")
_LEFT_OUT = ("test", "tests", "idlelib", "tkinter", "turtledemo", "site-packages", "dist-packages", "__pycache__")
_FILES = {
    "etc/passwd": ("root:x:0:0:root:/root:/bin/sh\n", 0o644),
    "etc/group": ("root:x:0:\n", 0o644),
    "etc/nsswitch.conf": ("passwd: files\ngroup: files\nhosts: files\n", 0o644),
    "etc/hosts": ("127.0.0.1 localhost\n", 0o644),
    "etc/os-release": ("ID=test\n", 0o644),
    "usr/bin/dnf": ('#!/bin/sh\necho "dnf $*: everything is in the image"\n', 0o755),
}
_FOLDERS = ("tmp", "proc", "sys", "dev", "root", "var/log", "var/lib", "run")


def missing() -> list[str]:
    """The programs that this machine would have to have."""
    return [name for name in PROGRAMS if shutil.which(name) is None]


def write(archive: Path, wheels: Path) -> None:
    """The image's file system as a tar file."""
    programs = {name: Path(str(shutil.which(name))).resolve() for name in PROGRAMS}
    modules = [path for path in LIBRARY.rglob("*.so") if not _left_out(path)]
    with tarfile.open(archive, "w") as tar:
        for folder in _FOLDERS:
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755
            tar.addfile(entry)
        for name, (text, mode) in _FILES.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(text), mode
            tar.addfile(entry, io.BytesIO(text.encode()))
        for path, place in sorted(_linked([PYTHON, *modules, *programs.values()]).items()):
            _add(tar, path, place)
        _add(tar, PYTHON, Path(PYTHON_IN_IMAGE))
        for path in sorted(LIBRARY.rglob("*")):
            if path.is_file() and not _left_out(path):
                _add(tar, path, Path("/usr/local/lib") / LIBRARY.name / path.relative_to(LIBRARY))
        for path in sorted(LOCALE.rglob("*")):
            if path.is_file():
                _add(tar, path, path)
        for name, path in programs.items():
            _add(tar, path, Path("/bin") / name)
        for name in sorted(_applets(programs["busybox"]) - set(PROGRAMS)):
            _link(tar, f"bin/{name}", "/bin/busybox")
        _link(tar, "usr/bin/env", "/bin/busybox")
        for wheel in sorted(wheels.iterdir()):
            _add(tar, wheel, Path(WHEELS) / wheel.name)


def settings() -> list[str]:
    """What the image's environment says, for `podman import --change`."""
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": WHEELS}
    return [word for name, value in environment.items() for word in ("--change", f"ENV {name}={value}")]


def _left_out(path: Path) -> bool:
    return any(part in _LEFT_OUT or part.startswith("config-") for part in path.relative_to(LIBRARY).parts)


def _linked(files: list[Path]) -> dict[Path, Path]:
    """The shared libraries of some programs, and where the loader of the image finds them."""
    output = subprocess.run(["ldd", *map(str, files)], capture_output=True, text=True, check=False).stdout
    loaders = {Path(name) for name in re.findall(r"^\s+(/\S+) \(0x", output, re.MULTILINE)}
    libraries = {Path(name) for name in re.findall(r"=> (/\S+) \(0x", output)}
    beside = next(path.parent for path in libraries if path.name.startswith("libc.so"))
    libraries |= {beside / name for name in _ALSO if (beside / name).exists()}
    return {path: beside / path.name for path in libraries} | {path: path for path in loaders}


def _applets(busybox: Path) -> set[str]:
    return set(subprocess.run([str(busybox), "--list"], capture_output=True, text=True, check=True).stdout.split())


def _add(tar: tarfile.TarFile, source: Path, place: Path) -> None:
    """A file's content, whoever owns it here and through whatever links it is reached."""
    entry = tarfile.TarInfo(str(place).lstrip("/"))
    entry.size = source.stat().st_size
    entry.mode = 0o755 if os.access(source, os.X_OK) else 0o644
    with source.open("rb") as content:
        tar.addfile(entry, content)


def _link(tar: tarfile.TarFile, name: str, target: str) -> None:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = tarfile.SYMTYPE, target
    tar.addfile(entry)
