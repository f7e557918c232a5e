"""A network with one job that sleeps, for a test to kill: prints the job's address when it runs. Argument: the runner."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import asyncio
import sys

from network import Poster, definition, runs

from nosana_localnet.server import Settings, run


async def main() -> None:
    async with run(Settings(port=0, runner=sys.argv[1], hosts={"nvidia-3060": 1})) as network:
        poster = Poster(network)
        image = "localhost/nosana-test:1"
        job = poster.post(
            definition({"id": "one", "args": {"image": image, "cmd": "sleep 600 & sleep 600", "env": {"MARK": "marker-%%global.job%%"}}})
        )
        await runs(network, job)
        print(job, flush=True)
        await asyncio.sleep(600)


asyncio.run(main())
