"""Lets ansible-test make its virtual environments with a pip from the package index that pip itself is set to.

usage: python tools/seed_pip.py        (with the Python in which ansible-core is installed)

ansible-test fetches a bootstrap script for pip from a host of its own, which is out of reach behind many firewalls. It takes a
script from its cache before it asks; this puts one there which installs the same version of pip.
"""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

CACHE = Path.home() / ".ansible" / "test" / "cache"

BOOTSTRAP = """\
# Installs pip {version} from the wheel beside this file; written by the nosana.compute project's tools/seed_pip.py.
import os, runpy, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), {wheel!r}))
options = [word for word in sys.argv[1:] if word not in ("--no-setuptools", "--no-wheel")]
sys.argv = ["pip", "install", "--upgrade", "--force-reinstall", *options]
runpy.run_module("pip", run_name="__main__", alter_sys=True)
"""


def main() -> int:
    import ansible_test._internal as internal  # the tests of the project notice when this goes: nothing would run

    source = (Path(next(iter(internal.__path__))) / "python_requirements.py").read_text(encoding="utf-8")
    found = re.search(r"default_packages = dict\(\s*pip='([^']+)'", source)
    if found is None:
        print("This ansible-test keeps its pip version elsewhere; tools/seed_pip.py has to follow.", file=sys.stderr)
        return 1
    version = found[1]
    wheel = f"pip-{version}-py3-none-any.whl"
    script = CACHE / f"get_pip_{version.replace('.', '_')}.py"
    if script.exists() and (CACHE / wheel).exists():
        return 0
    CACHE.mkdir(parents=True, exist_ok=True)
    subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(CACHE), f"pip=={version}"], check=True)
    script.write_text(BOOTSTRAP.format(version=version, wheel=wheel), encoding="utf-8")
    print(f"ansible-test: pip {version} from the package index")
    return 0


if __name__ == "__main__":
    sys.exit(main())
