"""The collection's content addresses, for cids.mjs: a line that says `document` or `file` and the bytes in base64 is answered by a CID.

Run by a Python that finds ansible_collections.
"""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import json
import sys

from ansible_collections.nosana.compute.plugins.module_utils._clients.ipfs import cid_of, encode_document

for line in sys.stdin:
    kind, _space, encoded = line.rstrip("\n").partition(" ")
    content = base64.b64decode(encoded)
    print(cid_of(content if kind == "file" else encode_document(json.loads(content))), flush=True)
