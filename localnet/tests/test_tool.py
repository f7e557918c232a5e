"""The network as a tool: its state outlives it, the same seed gives the same network, and pytest starts as many as a test wants."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from network import MARKET, Poster, batch, host_of, printed, until
from solders.keypair import Keypair
from solders.message import MessageV0
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer
from solders.transaction import VersionedTransaction

from nosana_localnet import idl, state
from nosana_localnet.cli import greeting
from nosana_localnet.genesis import JOBS_PROGRAM, load_programs
from nosana_localnet.ipfs import Store
from nosana_localnet.ledger import Ledger, token_address
from nosana_localnet.server import Network, Settings, Unusable, run, seeded_key
from nosana_localnet.thread import running

pytest_plugins = [] if "nosana_localnet.pytest" in sys.modules else ["nosana_localnet.pytest"]  # installed, it is there by itself
NOON = 1_800_000_000.0
COMMAND = [sys.executable, "-m", "nosana_localnet"]


def settings(**more: Any) -> Settings:
    wanted: dict[str, Any] = {"port": 0, "runner": "process", "hosts": {"nvidia-3060": 1}} | more
    return Settings(**wanted)


def rpc(url: str, method: str, *params: Any) -> Any:
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=10) as answer:
        return json.load(answer)["result"]


def chain(network: Network) -> dict[str, tuple[int, bytes, str]]:
    return {
        str(key): (found.lamports, found.data, str(found.owner)) for key, found in network.ledger.every_account() if not found.executable
    }


# ---- state


@pytest.mark.asyncio
async def test_a_network_goes_on_where_it_was_with_its_jobs_and_their_results(tmp_path: Path) -> None:
    key = Keypair()
    async with run(settings(state=tmp_path / "state")) as network:
        poster = Poster(network, key)
        done = poster.post(batch("print('kept')"))
        result = await poster.result(done)
        await until(lambda: network.hosts[0].current is None)
        asleep = poster.post(batch("import time; print('up', flush=True); time.sleep(600)"))
        await printed(network, asleep, "up")
        before, slot, landed = chain(network), network.ledger.slot, network.ledger.transaction_count
        signatures = [str(record.signature) for record in network.ledger.signatures_for(done)]
        old = network.ledger.latest_blockhash("processed").hash
    async with run(settings(state=tmp_path / "state")) as network:
        assert chain(network) == before
        assert network.ledger.slot > slot
        assert network.ledger.transaction_count == landed
        assert [str(record.signature) for record in network.ledger.signatures_for(done)] == signatures
        assert network.ledger.is_blockhash_valid(old)
        poster = Poster.__new__(Poster)
        poster.network, poster.key = network, key
        assert await poster.result(done) == result
        await printed(network, asleep, "up")  # its host runs it again
        assert host_of(network, asleep)
        poster.end(asleep)
        assert (await poster.result(asleep))["status"] == "stopped"


def kept(directory: Path) -> tuple[Ledger, state.Journal]:
    """A ledger with its state in a directory, fresh or as the last one there left it."""
    journal = state.Journal(directory, pytest.fail)
    ledger, store = Ledger(lambda: NOON), Store()
    if journal.exists:
        journal.load(ledger, store)
    journal.begin(ledger, store)
    return ledger, journal


def test_a_transaction_lands_once_even_across_a_restart(tmp_path: Path) -> None:
    ledger, journal = kept(tmp_path)
    alice = Keypair()
    ledger.airdrop(alice.pubkey(), 10**9)
    pay = transfer(TransferParams(from_pubkey=alice.pubkey(), to_pubkey=Keypair().pubkey(), lamports=10**6))
    transaction = VersionedTransaction(MessageV0.try_compile(alice.pubkey(), [pay], [], ledger.latest_blockhash().hash), [alice])
    ledger.submit(transaction)
    journal.close()
    ledger, journal = kept(tmp_path)
    with pytest.raises(Exception, match="AlreadyProcessed"):
        ledger.submit(transaction)
    assert ledger.transaction(transaction.signatures[0]) is not None
    journal.close()


def test_time_that_was_put_forward_stays_so_across_a_restart(tmp_path: Path) -> None:
    ledger, journal = kept(tmp_path)
    ledger.warp(3600)
    latest, slot = ledger.latest_blockhash(), ledger.slot
    journal.close()
    ledger, journal = kept(tmp_path)
    assert ledger.unix_time == NOON + 3600
    assert ledger.slot > slot
    assert ledger.is_blockhash_valid(latest.hash)
    journal.close()


def test_what_was_cut_off_in_the_middle_is_what_nobody_was_told_of(tmp_path: Path) -> None:
    journal = state.Journal(tmp_path, pytest.fail)
    ledger, store = Ledger(lambda: NOON), Store()
    journal.begin(ledger, store)
    ledger.airdrop(first := Keypair().pubkey(), 1_000_000)
    whole = (tmp_path / "journal").stat().st_size
    ledger.airdrop(second := Keypair().pubkey(), 2_000_000)
    journal.close()
    data = (tmp_path / "journal").read_bytes()
    for rest in (data[:whole], data[: whole + 1], data[:-1], data[:whole] + bytes(10), data[:whole] + bytes(5000)):
        (tmp_path / "journal").write_bytes(rest)
        journal = state.Journal(tmp_path, pytest.fail)
        again = Ledger(lambda: NOON)
        journal.load(again, Store())
        journal.close()
        assert (again.balance(first), again.balance(second)) == (1_000_000, 0)


def test_what_is_broken_in_the_middle_is_refused_rather_than_losing_what_stands_behind_it(tmp_path: Path) -> None:
    journal = state.Journal(tmp_path, pytest.fail)
    ledger, store = Ledger(lambda: NOON), Store()
    journal.begin(ledger, store)
    begun = (tmp_path / "journal").stat().st_size
    for _ in range(3):
        ledger.airdrop(Keypair().pubkey(), 1_000_000)
    journal.close()
    data = (tmp_path / "journal").read_bytes()
    for at in (begun + 4, begun + 20):  # the check of a frame, and what it checks
        (tmp_path / "journal").write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        journal = state.Journal(tmp_path, pytest.fail)
        with pytest.raises(
            state.Unreadable, match=f"is damaged .from byte {begun} on, before which `truncate -s {begun}` ends it.; use another"
        ):
            journal.load(Ledger(lambda: NOON), Store())
        journal.close()
    (tmp_path / "journal").write_bytes(data[:begun])
    kept(tmp_path)[1].close()


def test_the_disk_has_at_the_end_of_a_slot_what_it_brought(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger, journal = kept(tmp_path)
    size = (tmp_path / "journal").stat().st_size
    synced: list[int] = []
    monkeypatch.setattr("nosana_localnet.state.os.fsync", lambda file: synced.append(os.fstat(file).st_size))
    ledger.tick()
    ledger.airdrop(Keypair().pubkey(), 1_000_000)
    ledger.airdrop(Keypair().pubkey(), 1_000_000)
    assert synced == []
    ledger.tick()
    ledger.tick()
    assert synced == [(tmp_path / "journal").stat().st_size]
    assert synced[0] > size

    def broken(_file: int) -> None:
        raise OSError(5, "Input/output error")

    told: list[str] = []
    journal._on_failure = told.append
    monkeypatch.setattr("nosana_localnet.state.os.fsync", broken)
    ledger.airdrop(Keypair().pubkey(), 1_000_000)
    ledger.tick()
    assert "Input/output error" in told[0]


def test_a_snapshot_of_which_a_part_is_missing_is_refused(tmp_path: Path) -> None:
    ledger, store = Ledger(lambda: NOON), Store()
    store.add(b"first")
    store.add(b"second")
    ledger.airdrop(Keypair().pubkey(), 1_000_000)
    frames = [state._packed(frame) for frame in state.snapshot_frames(ledger, store)]
    whole = b"".join(frames)
    state.restore(whole, Ledger(lambda: NOON), Store(), "snapshot")
    for rest in (whole[: -len(frames[-1])], whole[: len(frames[0])], whole[:-1], whole[: -len(frames[-1]) + 3]):
        with pytest.raises(state.Unreadable, match=r"^snapshot is damaged"):
            state.restore(rest, Ledger(lambda: NOON), Store(), "snapshot")


@pytest.mark.asyncio
async def test_a_state_that_cannot_be_used_is_said_in_one_sentence(tmp_path: Path) -> None:
    async with run(settings(state=tmp_path / "used")):
        with pytest.raises(Unusable, match="in use by another network"):
            async with run(settings(state=tmp_path / "used")):
                pass
    with pytest.raises(Unusable, match="the same --seed"):
        async with run(settings(state=tmp_path / "used", seed="other")):
            pass
    for name, content, words in (
        ("other", state._packed({"format": 99}), "has format 99"),
        ("empty", b"", "no state of a local network"),
        ("text", b"something else entirely", "no state of a local network"),
        ("broken", state._packed({"format": 1, "seed": "nosana-localnet"}) + state._packed({"accounts": [["x", 1]]}), "is damaged"),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "journal").write_bytes(content)
        with pytest.raises(Unusable, match=words):
            async with run(settings(state=tmp_path / name)):
                pass
        with pytest.raises(Unusable, match=words):
            async with run(settings(restore=tmp_path / name / "journal")):
                pass
    (tmp_path / "file").write_text("")
    with pytest.raises(Unusable, match="cannot be used"):
        async with run(settings(state=tmp_path / "file")):
            pass


@pytest.mark.asyncio
async def test_a_snapshot_is_the_whole_state_and_begins_another_network(tmp_path: Path) -> None:
    async with run(settings()) as network:
        job = Poster(network).post(batch("print(1)"))
        await until(lambda: network.hosts[0].current is None)
        (tmp_path / "snapshot").write_bytes(state.snapshot(network.ledger, network.store))
        before, contents = chain(network), dict(network.store.everything())
    async with run(settings(restore=tmp_path / "snapshot", state=tmp_path / "state")) as network:
        assert chain(network) == before
        assert network.store.everything() == contents
        assert network.ledger.account(job) is not None
        assert network.ledger.signatures_for(job)
    with pytest.raises(Unusable, match="holds a state already"):
        async with run(settings(restore=tmp_path / "snapshot", state=tmp_path / "state")):
            pass


@pytest.mark.asyncio
async def test_a_disk_that_is_full_ends_the_network_and_nothing_is_confirmed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with run(settings(state=tmp_path / "state")) as network:

        def full(_file: int, _data: bytes) -> int:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("nosana_localnet.state.os.write", full)
        with pytest.raises(OSError, match="No space"):
            network.ledger.airdrop(Keypair().pubkey(), 1)
        assert "No space left" in network.failed.result()


def test_a_kill_in_the_middle_of_a_thousand_posts_loses_nothing_that_was_confirmed(tmp_path: Path) -> None:
    key = Keypair()
    wallet = tmp_path / "wallet.json"
    wallet.write_text(json.dumps(list(bytes(key))), encoding="utf-8")
    start = [
        *COMMAND,
        "start",
        "--port",
        "0",
        "--runner",
        "process",
        "--hosts",
        "free=0",
        "--state",
        str(tmp_path / "state"),
        "--wallet",
        str(wallet),
    ]

    def url_of(child: subprocess.Popen[str]) -> str:
        assert child.stdout is not None
        return next(line.split("=", 1)[1].strip() for line in child.stdout if line.startswith("export NOSANA_RPC_URL="))

    confirmed: list[tuple[Pubkey, str]] = []
    with subprocess.Popen(start, stdout=subprocess.PIPE, text=True) as child:
        posting = [sys.executable, str(Path(__file__).with_name("posting.py")), url_of(child), str(wallet), "1000"]
        with subprocess.Popen(posting, stdout=subprocess.PIPE, text=True) as client:
            assert client.stdout is not None
            for line in client.stdout:
                job, signature = line.split()
                confirmed.append((Pubkey.from_string(job), signature))
                if len(confirmed) == 250:
                    child.send_signal(signal.SIGKILL)
            client.wait()
    assert 250 <= len(confirmed) < 1000
    with subprocess.Popen(start, stdout=subprocess.PIPE, text=True) as child:
        url = url_of(child)
        for at in range(0, len(confirmed), 100):
            part = confirmed[at : at + 100]
            found = rpc(
                url, "getMultipleAccounts", [str(job) for job, _signature in part], {"encoding": "base64", "commitment": "processed"}
            )
            assert all(value is not None for value in found["value"])
            statuses = rpc(url, "getSignatureStatuses", [signature for _job, signature in part], {"searchTransactionHistory": True})
            assert all(value is not None and value["err"] is None for value in statuses["value"])
        child.send_signal(signal.SIGTERM)
        assert child.wait(timeout=10) == 0


# ---- the same again


@pytest.mark.asyncio
async def test_the_same_seed_and_clock_give_the_same_addresses_and_results() -> None:
    seen = []
    for _ in range(2):
        async with run(settings(seed="twice", clock=NOON)) as network:
            poster = Poster(network, seeded_key("twice", "poster"))
            job = poster.post(batch("print('out')"), keys=(seeded_key("a", "job"), seeded_key("a", "run")))
            await poster.result(job)
            await until(lambda network=network: network.hosts[0].current is None)
            run_keys = [key for key in chain(network) if key not in {str(host.address) for host in network.hosts}]
            seen.append(
                (poster.job(job), [str(host.address) for host in network.hosts], sorted(run_keys), str(network.ledger.genesis_hash))
            )
    assert seen[0] == seen[1]
    async with run(settings(seed="other", clock=NOON)) as network:
        assert [str(host.address) for host in network.hosts] != seen[0][1]


@pytest.mark.asyncio
async def test_a_clock_that_stands_still_goes_on_when_it_is_told() -> None:
    async with run(settings(clock=NOON)) as network:
        poster = Poster(network)
        job = poster.post(batch("import time; print('up', flush=True); time.sleep(600)"), timeout=3600)
        await printed(network, job, "up")
        network.ledger.warp(3601)
        result = await poster.result(job)
        assert result["opStates"][0]["diagnostics"]["reason"]["jobExpired"] is True
        assert poster.job(job)["time_start"] == NOON
        assert poster.job(job)["time_end"] == NOON + 3601
        assert result["endTime"] >= (NOON + 3601) * 1000


# ---- programs and addresses


@pytest.mark.asyncio
async def test_the_program_comes_from_a_file_or_another_network_and_must_be_one(tmp_path: Path) -> None:
    elf = tmp_path / "program.so"
    elf.write_bytes(idl.elf())
    async with run(settings(program_from=str(elf))) as origin, run(settings(program_from=origin.url)) as network:
        poster = Poster(network)
        assert (await poster.result(poster.post(batch("print(1)"))))["status"] == "success"
        with pytest.raises(Unusable, match="could not be fetched"):
            async with run(settings(program_from=f"{origin.url}/ipfs/nothing")):
                pass
    for content, words in ((b"text", "holds no ELF"), (b"\x7fELF but not more", "is not an ELF that the runtime loads")):
        elf.write_bytes(content)
        with pytest.raises(Unusable, match=words):
            async with run(settings(program_from=str(elf))):
                pass
    with pytest.raises(Unusable, match="cannot be read"):
        async with run(settings(program_from=str(tmp_path / "nowhere"))):
            pass


@pytest.mark.asyncio
async def test_the_network_fee_of_before_is_a_switch() -> None:
    async with run(settings(fee_fraction=10, hosts={"free": 0})) as network:
        poster = Poster(network)
        held = tokens(network, poster.key.pubkey())
        job = poster.post(batch("pass"), timeout=3601)
        deposit = poster.job(job)["price"] * 3601
        assert held - tokens(network, poster.key.pubkey()) == deposit + deposit // 10
        async with ClientSession() as client, client.get(f"{network.url}/api/markets/nvidia-3060") as answer:
            assert (await answer.json())["network_fee_percentage"] == 10
    with pytest.raises(Unusable, match="fee fraction has to be one of 0, 10"):
        async with run(settings(fee_fraction=7)):
            pass


def tokens(network: Network, owner: Pubkey) -> int:
    account = network.ledger.account(token_address(owner))
    assert account is not None
    return int.from_bytes(account.data[64:72], "little")


@pytest.mark.asyncio
async def test_it_listens_where_it_is_told_and_only_there() -> None:
    async with run(settings(bind="127.0.0.2")) as network:
        assert network.url.startswith("http://127.0.0.2:")
        assert await asyncio.to_thread(rpc, network.url, "getHealth") == "ok"
        with pytest.raises(urllib.error.URLError):
            await asyncio.to_thread(rpc, f"http://127.0.0.1:{network.port}", "getHealth")
        with pytest.raises(Unusable, match=f"Port {network.port} of 127.0.0.2 cannot be used"):
            async with run(settings(bind="127.0.0.2", port=network.port)):
                pass
    for bad in ({"port": 70_000}, {"bind": "192.0.2.1"}):
        with pytest.raises(Unusable, match="cannot be used"):
            async with run(settings(**bad)):
                pass


@pytest.mark.asyncio
async def test_pubsub_answers_at_the_next_port_too_where_that_is_free() -> None:
    async with run(settings()) as network, ClientSession() as client:
        assert network.websocket_port == network.port + 1
        async with client.ws_connect(f"ws://127.0.0.1:{network.websocket_port}/") as pubsub:
            await pubsub.send_json({"jsonrpc": "2.0", "id": 1, "method": "slotSubscribe"})
            assert isinstance((await pubsub.receive_json())["result"], int)
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", network.port + 1))
        taken.listen()
        async with run(settings(port=network.port)) as network:
            assert network.websocket_port == network.port
            told = greeting(network, Path("wallet.json"), "")
            assert f"Port {network.port + 1} is not free" in told
            assert f"ws://127.0.0.1:{network.port}" in told


# ---- in other programs


def test_the_plugin_starts_a_network_and_sets_the_environment(
    nosana_environment: dict[str, str], nosana_network: Any, nosana_wallet: Path
) -> None:
    assert os.environ["NOSANA_RPC_URL"] == nosana_network.url == nosana_environment["NOSANA_RPC_URL"]
    owner = Keypair.from_bytes(bytes(json.loads(nosana_wallet.read_text(encoding="utf-8")))).pubkey()
    assert rpc(nosana_network.url, "getBalance", str(owner))["value"] == 10 * 10**9
    assert rpc(nosana_network.url, "getTokenAccountBalance", str(token_address(owner)))["value"]["amount"] == "1000000000"


def test_the_example_of_the_documentation_works(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "localnet.md").read_text(encoding="utf-8")
    example = page.split("```python test_prices.py\n")[1].split("```")[0]
    (tmp_path / "test_prices.py").write_text(example, encoding="utf-8")
    plugin = [] if "nosana_localnet.pytest" not in pytest_plugins else ["-p", "nosana_localnet.pytest"]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *plugin, "--rootdir", str(tmp_path), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout


def test_several_networks_live_at_once_and_know_nothing_of_each_other(nosana_networks: Any) -> None:
    first, second = nosana_networks(seed="first"), nosana_networks(seed="second", hosts={"free": 1})
    first.fund(owner := Keypair().pubkey(), sol=1)
    assert [rpc(network.url, "getBalance", str(owner))["value"] for network in (first, second)] == [10**9, 0]
    assert rpc(first.url, "getGenesisHash") != rpc(second.url, "getGenesisHash")
    first.warp(3600)
    assert first.call(lambda network: network.ledger.warp_seconds) == 3600


def test_what_cannot_start_raises_where_it_was_asked_for() -> None:
    with pytest.raises(Unusable, match="no market nowhere"), running(settings(hosts={"nowhere": 1})):
        pass


@pytest.mark.parametrize("arguments", [["warp", "60"], ["host", "list"], ["faucet", str(MARKET)], ["faucet", str(MARKET), "--stake", "0"]])
def test_the_command_asks_a_network_that_runs(nosana_network: Any, arguments: list[str]) -> None:
    done = subprocess.run([*COMMAND, *arguments, "--port", str(nosana_network.network.port)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout
    nobody = subprocess.run([*COMMAND, *arguments, "--port", "1"], capture_output=True, text=True, check=False)
    assert nobody.returncode == 1
    assert nobody.stderr.startswith("nosana-localnet: No network answers on port 1")
    assert "Traceback" not in nobody.stderr


def test_a_snapshot_by_the_command(nosana_network: Any, tmp_path: Path) -> None:
    port = str(nosana_network.network.port)
    done = subprocess.run([*COMMAND, "snapshot", str(tmp_path / "s"), "--port", port], capture_output=True, text=True, check=True)
    assert "--restore" in done.stdout
    ledger = Ledger()
    load_programs(ledger)
    state.restore((tmp_path / "s").read_bytes(), ledger, Store(), "s")
    assert ledger.program_accounts(JOBS_PROGRAM)
