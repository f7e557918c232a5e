"""The page of the local network: its document, its events, what hostile jobs can do to it, and the whole of it in a real browser."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import ClientSession
from browser import PROGRAM, browser
from network import Poster, batch, definition, printed, runs, until
from solders.pubkey import Pubkey

from nosana_localnet.dashboard import MAX_SUBSCRIBERS
from nosana_localnet.explain import plain
from nosana_localnet.ledger import Rejected
from nosana_localnet.server import Network, Settings, run

pytestmark = pytest.mark.asyncio(loop_scope="module")
HOSTILE = "<script>document.title='taken'</script><img src=x onerror=alert(1)>\x1b[31mred\x1b[0m\x07\u202e"
HARMLESS = "<script>document.title='taken'</script><img src=x onerror=alert(1)>red"
Document = dict[str, Any]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def network() -> AsyncIterator[Network]:
    async with run(Settings(port=0, runner="process", hosts={"nvidia-3060": 1})) as started:
        yield started


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client() -> AsyncIterator[ClientSession]:
    async with ClientSession() as session:
        yield session


@pytest.fixture
def poster(network: Network) -> Poster:
    return Poster(network)


def named(name: str, code: str, **more: Any) -> Document:
    return batch(code, **more) | {"meta": {"name": name}}


async def look(network: Network, client: ClientSession) -> Document:
    async with client.get(f"{network.url}/localnet/view") as answer:
        document: Document = await answer.json()
    return document


async def job_of(network: Network, client: ClientSession, address: Pubkey) -> Document:
    return next(job for job in (await look(network, client))["jobs"] if job["address"] == str(address))


# ---- the document


async def test_a_job_from_post_to_result(network: Network, poster: Poster, client: ClientSession) -> None:
    address = poster.post(named("long", "import time; print('up', flush=True); time.sleep(600)"))
    host = network.hosts[0]
    await printed(network, address, "up")
    behind = poster.post(named("behind", "print('Done!'); raise SystemExit(3)"))
    await asyncio.sleep(0.3)
    view = await look(network, client)
    job, waiting = (next(each for each in view["jobs"] if each["address"] == str(key)) for key in (address, behind))
    assert (job["state"], job["name"], job["node"], job["verdict"]) == ("running", "long", str(host.address), None)
    assert ["stdout", "up"] in job["ops"][0]["lines"]
    assert (job["deposit"], job["timeout"], job["project"], job["market"]) == ("0.0258", 600, str(poster.key.pubkey()), "nvidia-3060")
    assert (waiting["state"], waiting["node"], waiting["cost"]) == ("queued", None, None)
    assert [(op["id"], op["status"], op["image"]) for op in waiting["ops"]] == [("one", "waiting", "python:3.9-slim")]
    market = next(market for market in view["markets"] if market["slug"] == "nvidia-3060")
    assert (market["queue_of"], market["queue"], market["nos_per_hour"]) == ("jobs", [str(behind)], "0.1548")
    assert view["hosts"] == [
        {"address": str(host.address), "market": "nvidia-3060", "state": "running", "job": str(address), "nos": view["hosts"][0]["nos"]}
    ]
    poster.end(address)
    await poster.result(behind)
    # The host has long had another job; what it did is shown from the result document.
    host.jobs.clear()
    await asyncio.sleep(0.3)
    ended, done = await job_of(network, client, address), await job_of(network, client, behind)
    assert (ended["state"], ended["verdict"], ended["ops"][0]["status"]) == ("completed", "ended by owner", "stopped")
    assert ["stdout", "up"] in ended["ops"][0]["lines"]
    assert (done["state"], done["verdict"], done["ops"][0]["status"], done["ops"][0]["exit_code"]) == ("completed", "failed", "failed", 3)
    assert ["stdout", "Done!"] in done["ops"][0]["lines"]
    assert done["ended_at"] >= done["started_at"] >= done["posted_at"]


async def test_services_have_their_urls_while_they_run(network: Network, poster: Poster, client: ClientSession) -> None:
    address = poster.post(definition({"id": "web", "args": {"image": "nginx:alpine", "expose": 80}}))
    await runs(network, address)
    await asyncio.sleep(0.3)
    (service,) = (await job_of(network, client, address))["services"]
    assert (service["op"], service["port"], service["online"]) == ("web", 80, True)
    assert service["url"].endswith(f".node.localhost:{network.port}")
    async with client.get(network.url, headers={"Host": service["url"].removeprefix("http://")}) as answer:
        assert "Stand-in" in await answer.text()
    poster.end(address)
    await poster.result(address)
    await asyncio.sleep(0.3)
    assert (await job_of(network, client, address))["services"] == []


async def test_wallets_and_transactions_are_in_words(network: Network, poster: Poster, client: ClientSession) -> None:
    address = poster.post(named("told", "print(1)"), timeout=60)
    await poster.result(address)
    with pytest.raises(Rejected):
        poster.extend(address, 90)
    await asyncio.sleep(0.3)
    view = await look(network, client)
    wallet = next(wallet for wallet in view["wallets"] if wallet["address"] == str(poster.key.pubkey()))
    assert 9 < float(wallet["sol"]) < 10
    assert 999 < float(wallet["nos"]) <= 1000
    of_job = [
        (entry, each) for entry in view["transactions"] for each in entry["instructions"] if ["job", str(address)] in each["accounts"]
    ]
    assert [each["name"] for _entry, each in of_job] == ["extend", "finish", "list"]
    refused, posted = of_job[0][0], of_job[-1]
    assert refused["error"].startswith("JobInWrongState: This job does not have the right status.")
    assert refused["instructions"][0]["args"] == {"timeout": "90"}
    assert any("Instruction: Extend" in line for line in refused["logs"])
    job = await job_of(network, client, address)
    assert posted[1]["program"] == "nosana jobs"
    assert posted[1]["args"] == {"ipfs_job": job["definition"], "timeout": "60"}
    assert (posted[0]["error"], posted[0]["payer"], posted[0]["fee"]) == (None, str(poster.key.pubkey()), 15_000)
    assert {each["name"] for entry in view["transactions"] for each in entry["instructions"] if each["program"] == "system"} == {"transfer"}


@pytest.mark.parametrize(
    "document",
    [
        {"ops": [{}]},
        {"ops": [{"id": "a", "args": 5}]},
        {"ops": [{"id": ["x"], "type": "container/run", "args": {"image": {}, "expose": [{"port": 10**400}]}}]},
        {"ops": [None, 3], "meta": []},
        {"meta": {"name": 5}},
        [],
    ],
)
async def test_a_definition_without_sense_takes_nothing_from_the_page(
    network: Network, poster: Poster, client: ClientSession, document: Any
) -> None:
    # Given to a market without hosts, so that only the page has to bear it.
    market = next(market for market in (await look(network, client))["markets"] if market["slug"] == "nvidia-a100-40gb")
    address = poster.post(document, market=Pubkey.from_string(market["address"]))
    await asyncio.sleep(0.3)
    assert (await job_of(network, client, address))["state"] == "queued"


# ---- what comes from jobs


async def test_text_of_jobs_arrives_as_text(network: Network, poster: Poster, client: ClientSession) -> None:
    address = poster.post(named(HOSTILE, f"print({HOSTILE!r}); print('10%\\r100%')"))
    await poster.result(address)
    await asyncio.sleep(0.3)
    job = await job_of(network, client, address)
    assert job["name"] == plain(HARMLESS, 80)
    assert [text for kind, text in job["ops"][0]["lines"] if kind == "stdout"] == [HARMLESS, "100%"]


# ---- HTTP


@pytest.mark.parametrize("path", ["/", "/localnet/dashboard.js", "/localnet/dashboard.css", "/localnet/dashboard.svg", "/localnet/view"])
async def test_every_file_forbids_what_it_does_not_need(network: Network, client: ClientSession, path: str) -> None:
    async with client.get(network.url + path, headers={"Accept": "text/html"}) as answer:
        assert answer.status == 200
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        text = await answer.text()
    if path == "/":
        assert "<script>" not in text
        assert " style=" not in text


async def test_a_program_that_asks_for_no_page_is_answered_as_by_a_node(network: Network, client: ClientSession) -> None:
    async with client.get(network.url) as answer:
        assert answer.status == 405


async def next_event(events: Any) -> tuple[str, Document]:
    name = (await asyncio.wait_for(events.content.readuntil(b"\n"), 10)).decode().removeprefix("event: ").strip()
    data = (await asyncio.wait_for(events.content.readuntil(b"\n\n"), 10)).decode().removeprefix("data: ")
    return name, json.loads(data)


async def test_events_tell_everything_and_then_what_changes(network: Network, poster: Poster) -> None:
    async with ClientSession(read_bufsize=2**24) as own, own.get(f"{network.url}/localnet/events") as events:
        assert events.content_type == "text/event-stream"
        name, view = await next_event(events)
        assert (name, view["runner"]) == ("view", "process")
        address = str(poster.post(named("followed", "import time; print('first', flush=True); time.sleep(0.8); print('second')")))
        seen: list[tuple[str, int]] = []
        while not seen or seen[-1][0] != "completed":
            name, change = await next_event(events)
            for job in change.get("jobs", {}).get("changed", ()):
                if job["address"] == address:
                    seen.append((job["state"], len([line for line in job["ops"][0]["lines"] if line[0] == "stdout"]) if job["ops"] else 0))
        assert ("running", 1) in seen
        assert {state for state, _lines in seen} <= {"queued", "running", "completed"}
        assert seen[-1] == ("completed", 2)
        while name != "tick":
            name, change = await next_event(events)
        assert set(change) == {"slot", "time"}


async def test_who_asks_for_the_head_of_the_events_is_not_sent_them(network: Network, client: ClientSession) -> None:
    for _ in range(2):  # the second on the same connection, where anything behind the first answer would be in the way
        async with client.head(f"{network.url}/localnet/events") as answer:
            assert answer.status == 405


async def test_pages_are_counted_and_a_closed_one_makes_room(network: Network) -> None:
    async with ClientSession(read_bufsize=2**24) as own:
        opened = [await own.get(f"{network.url}/localnet/events") for _ in range(MAX_SUBSCRIBERS)]
        assert {answer.status for answer in opened} == {200}
        async with own.get(f"{network.url}/localnet/events") as refused:
            assert refused.status == 503
        for answer in opened:
            answer.close()
        for _ in range(100):
            async with own.get(f"{network.url}/localnet/events") as again:
                if again.status == 200:
                    return
            await asyncio.sleep(0.05)
        raise AssertionError("no place became free")


async def test_the_network_ends_while_a_page_is_open() -> None:
    async with ClientSession(read_bufsize=2**24) as own:
        async with run(Settings(port=0, runner="process", hosts={})) as started:
            events = await own.get(f"{started.url}/localnet/events")
            await next_event(events)
            began = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - began < 3
        await asyncio.wait_for(events.read(), 5)


# ---- in a browser

STATE = "document.querySelector('#job-{job} .title .state')?.textContent"
NARROW = "document.documentElement.scrollWidth <= innerWidth"


@pytest.mark.skipif(PROGRAM is None, reason="there is no chromium, chromium-browser or google-chrome on PATH")
async def test_a_person_sees_a_job_from_post_to_result(network: Network, poster: Poster) -> None:
    """SCREENSHOTS names a directory for pictures of what was tested."""
    pictures = os.environ.get("SCREENSHOTS")
    async with browser() as page:
        await page.open(network.url)
        await page.until("document.getElementById('connection-text')?.textContent === 'live'")
        await page.value("window.neverReloaded = true")
        host = network.hosts[0]
        first = poster.post(named(HOSTILE, "import time; print('<b>bold</b>', flush=True); time.sleep(600)"))
        second = poster.post(named("hello", "import time; print('one', flush=True); time.sleep(1); print('Done!')"))
        states = [STATE.format(job=key) for key in (first, second)]
        await page.until(f"{states[0]} === 'running' && {states[1]} === 'queued'")
        log = f"document.querySelector('#job-{first} .log')"
        assert await page.until(f"{log}?.innerText.includes('<b>bold</b>')")
        assert await page.value(f"document.querySelector('#job-{first} h3').textContent") == plain(HARMLESS, 80)
        assert await page.value("document.querySelectorAll('main script, main img, main b b, .log b').length") == 0
        await until(lambda: host.current and host.current.job == first)
        poster.end(first)
        await page.until(f"{states[0]} === 'ended by owner' && {states[1]} === 'running'")
        await page.until(f"{states[1]} === 'succeeded' && document.querySelector('#job-{second} .log').innerText.includes('Done!')")
        await page.until("document.getElementById('announce').textContent.includes('hello is succeeded')")
        assert await page.value(f"document.querySelector('#job-{second} .way').innerText.includes('Result')")

        # Every part is filled in, and can be opened with the keyboard.
        assert "list" in await page.until(
            "document.querySelector('#transactions-list .what')?.innerText && document.querySelector('#transactions-list').innerText"
        )
        await page.value("document.querySelector('#transactions-list summary').focus()")
        for kind in ("keyDown", "keyUp"):
            await page.call("Input.dispatchKeyEvent", type=kind, key="Enter", code="Enter", windowsVirtualKeyCode=13, text="\r")
        await page.until("!!document.querySelector('#transactions-list details[open] .pairs')")
        assert await page.value("document.querySelectorAll('#markets-list > li').length") == 6
        assert str(poster.key.pubkey())[:4] in await page.value("document.getElementById('wallets-list').innerText")

        await page.value("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
        for width in (1100, 360, 320):
            await page.resize(width, 1600)
            assert await page.value(NARROW), f"it has to be scrolled sideways at {width} px"
            if pictures:
                await page.screenshot(Path(pictures) / f"page-{width}.png")
        assert await page.value("window.neverReloaded && performance.getEntriesByType('navigation').length") == 1
        assert page.problems == []


@pytest.mark.skipif(PROGRAM is None, reason="there is no chromium, chromium-browser or google-chrome on PATH")
async def test_a_person_is_told_when_the_network_is_gone_and_when_it_is_back() -> None:
    async with browser() as page:
        async with run(Settings(port=0, runner="process", hosts={})) as started:
            await page.open(started.url)
            await page.until("document.getElementById('connection-text')?.textContent === 'live'")
            assert "No job has been posted yet" in await page.value("document.getElementById('jobs').innerText")
        assert "Connection lost" in await page.until("!document.getElementById('lost').hidden && document.getElementById('lost').innerText")
        async with run(Settings(port=started.port, runner="process", hosts={"free": 1})):
            await page.until("document.getElementById('connection-text').textContent === 'live' && document.getElementById('lost').hidden")
            await page.until("document.querySelectorAll('#hosts-list > li').length === 1")
