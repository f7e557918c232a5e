"""Runs a command in a network of its own, a loopback that nothing outside reaches; its exit code is the command's.

usage: python tools/alone.py COMMAND…

solana-test-validator listens on every interface, whatever address it is told to bind to; here there is only one.
"""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import fcntl
import os
import socket
import struct
import subprocess
import sys

# An administrator may make a network; anybody else needs a user namespace, in which he is one.
WAYS = (["--net"], ["--net", "--map-root-user"])
_INSIDE = "--inside"
_SIOCSIFFLAGS, _IFF_UP = 0x8914, 1


def main(arguments: list[str]) -> int:
    if not arguments:
        print(__doc__, file=sys.stderr)
        return 2
    if arguments[0] == _INSIDE:
        raise_loopback()
        os.execvp(arguments[1], arguments[1:])
    said = ""
    for way in WAYS:
        try:
            tried = subprocess.run(["unshare", *way, "true"], capture_output=True, text=True, check=False)
        except OSError as error:
            said = f"unshare: {error.strerror}"
            break
        if tried.returncode == 0:
            os.execvp("unshare", ["unshare", *way, sys.executable, os.path.abspath(__file__), _INSIDE, *arguments])
        said = tried.stderr.strip()
    print(
        f"No network namespace can be made here ({said}), and without one the validator's ports would be open to your network; "
        "where that does no harm: make test-validator EXPOSED=yes",
        file=sys.stderr,
    )
    return 1


def raise_loopback() -> None:
    """A new network begins with a loopback that is down."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", _IFF_UP))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
