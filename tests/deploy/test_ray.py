"""Two servers with a daemon each under Ray Serve: they stream, die, grow in number and shrink.

The tests go on from each other, in the order in which they stand: Ray takes half a minute to start.
"""

import asyncio
import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.deploy.cluster import Cluster, below, lives
from tests.deploy.streams import (
    KEY,
    Streamed,
    asking,
    begin,
    islice_async,
    refuses,
    running,
    stream,
    users,
    warm,
)
from tests.inference_server import REPO
from tests.ollama_daemon.process import Daemon
from tests.pictures import encoded, scene
from tests.polling import HANG_S, wait_until_async

IDLE_S = 5  # DOWNSCALE_DELAY_S, where the fleet is to shrink
FILES = {"image": encoded(scene(64, 64))}


@pytest.fixture(scope="module")
def cluster(_daemon_process: Daemon, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One replica that becomes two under load. The other daemon has made the models."""
    log = tmp_path_factory.mktemp("ray") / "log"
    settings = {"MIN_REPLICAS": "1", "MAX_REPLICAS": "2", "TARGET_ONGOING": "2"}
    pace = {"UPSCALE_DELAY_S": "0.5", "DOWNSCALE_DELAY_S": "600", "LOOK_BACK_S": "2"}
    began = time.monotonic()
    with Cluster(log, API_KEY=KEY, NUM_PARALLEL="4", **settings, **pace) as cluster:
        print(f"\nRay and the first replica: {time.monotonic() - began:.1f} s")
        yield cluster


def test_it_is_the_same_server(cluster: Cluster) -> None:
    with httpx.Client(base_url=cluster.url, trust_env=False, timeout=120) as client:
        refused = client.post("/v1/describe", files=FILES)
        assert (refused.status_code, refused.json()["code"]) == (401, "unauthorized")
        ready = client.get("/ready", headers={"X-Request-ID": "mine"})
        assert ready.json() == {"status": "ready", "model": "slow-vlm"}
        assert ready.headers.get_list("x-request-id") == ["mine"]
        odd = client.get("/ready", headers={"X-Request-ID": "not sane"})
        (ident,) = odd.headers.get_list("x-request-id")
        assert ident.startswith("req_")


async def test_chunks_come_one_by_one(cluster: Cluster) -> None:
    streamed: list[Streamed] = []
    async with users(cluster.url) as client:
        for _ in range(2):  # the first waits for the model
            await stream(client, streamed, 40)
    one = streamed[-1]
    assert one.ended == "done"
    gaps = sorted(later - sooner for sooner, later in zip(one.at, one.at[1:], strict=False))
    print(f"\n{len(one.at)} chunks, gap {gaps[len(gaps) // 2] * 1e3:.1f} ms in the middle")
    # What the engine says together goes out together, and a busy machine joins more.
    apart = sum(gap > 1e-3 for gap in gaps)
    assert apart >= 8, gaps


async def test_who_leaves_frees_the_engine(cluster: Cluster) -> None:
    """Also where he asks Ray not to look for it."""
    headers = {"X-Request-Disconnect-Disabled": "?1"}
    data = {"stream": "true", "max_tokens": "400"}
    async with users(cluster.url) as client:
        request = client.stream("POST", "/v1/describe", files=FILES, data=data, headers=headers)
        async with request as answer:
            lines = answer.aiter_lines()
            began = time.monotonic()
            deltas = [line async for line in islice_async(lines, 60) if line == "event: delta"]
            per_token_s = (time.monotonic() - began) / len(deltas)
            assert await running(client) == 1
        left = time.monotonic()
        while await running(client):
            pass
        took = time.monotonic() - left
    print(f"\nfree {took * 1e3:.0f} ms after the client left, {took / per_token_s:.0f} tokens")
    assert took < 200 * per_token_s, "of 400 tokens"


async def test_more_replicas_under_load(cluster: Cluster) -> None:
    assert len(cluster.replicas()) == 1
    streamed: list[Streamed] = []
    async with users(cluster.url) as client, asking(client, streamed, 6, 10):
        took = await asyncio.to_thread(cluster.wait_for_replicas, 2)
    print(f"\n1 -> 2 replicas in {took:.1f} s under 6 streams; {len(streamed)} answers meanwhile")
    assert {one.ended for one in streamed} == {"done"}


async def test_a_replica_is_killed_under_six_streams(cluster: Cluster) -> None:
    """What it had in hand is lost, nothing else, and nothing of it stays."""
    await warm(cluster)
    later: list[Streamed] = []
    port, victim = next(iter(cluster.replicas().items()))
    async with users(cluster.url) as client, asyncio.TaskGroup() as group:
        streamed = await begin(client, group, 6, 100)
        async with users(f"http://127.0.0.1:{port}") as direct:
            its_own = await running(direct)
        family = below(victim)
        os.kill(victim, signal.SIGKILL)
        killed = time.monotonic()
        # A request that comes while the kernel takes it apart is one that it had in hand, too.
        await wait_until_async(lambda: refuses(port))
        async with asking(client, later, 1, 3):
            await wait_until_async(lambda: not any(map(lives, family)))
            gone = time.monotonic() - killed
            back = gone + await asyncio.to_thread(cluster.wait_for_replicas, 2)
    await warm(cluster, later)
    lost = [one.ended for one in streamed if one.ended != "done"]
    print(
        f"\n6 streams: {len(lost)} lost, {its_own} were its own; {len(later)} later ones, all "
        f"answered; engine and runner (of {len(family)}) gone after {gone:.2f} s, another replica "
        f"answers after {back:.1f} s"
    )
    assert len(family) >= 2, "the daemon and its runner"
    assert 0 < its_own < 6
    assert lost == ["cut"] * its_own
    assert {one.ended for one in later} == {"done"}
    assert port not in cluster.replicas()


async def test_an_engine_is_killed(cluster: Cluster) -> None:
    """Its clients are told so; then the replica gives way to another. A request that comes in
    between may be refused, but not lost."""
    later: list[Streamed] = []
    port, victim = next(iter(cluster.replicas().items()))
    engine = below(victim)[0]
    async with users(cluster.url) as client, asyncio.TaskGroup() as group:
        streamed = await begin(client, group, 6, 60)
        os.kill(engine, signal.SIGKILL)
        killed = time.monotonic()
        while port in await asyncio.to_thread(cluster.replicas):
            await stream(client, later, 3)
            assert time.monotonic() - killed < HANG_S
        gone = time.monotonic() - killed
        back = gone + await asyncio.to_thread(cluster.wait_for_replicas, 2)
    lost = [one.ended for one in streamed if one.ended != "done"]
    print(
        f"\n6 streams: {len(lost)} ended as {set(lost)}; of {len(later)} others meanwhile "
        f"{sum(one.ended != 'done' for one in later)} refused; the replica is gone after "
        f"{gone:.1f} s, another answers after {back:.1f} s"
    )
    assert 0 < len(lost) < 6
    assert set(lost) == {"engine_interrupted"}
    odd = [one.ended for one in later if one.ended != "done" and not one.ended.startswith("503 ")]
    assert not odd


def test_shards_of_a_long_list(cluster: Cluster, tmp_path: Path) -> None:
    """Five files in three shards; what is done is not done again, and a list may grow."""
    if not (REPO / "app" / "cli" / "batch.py").exists():
        pytest.skip("`python -m app batch` is not here yet")
    files = [tmp_path / f"{number}.png" for number in range(6)]
    for number, file in enumerate(files):
        file.write_bytes(encoded(scene(64 + number, 64)))
    listed, out = tmp_path / "list", tmp_path / "out"
    command = ("-m", "deploy.ray.bulk", "describe", str(listed), str(out), "--shard", "2")
    more = ("--max-tokens", "3", "--model", "tiny-vlm")
    server = {"SERVER_URL": cluster.url}
    listed.write_text("".join(f"{file}\n" for file in files[:5]))
    began = time.monotonic()
    first = cluster.run(*command, *more, **server)
    took = time.monotonic() - began
    lines = [json.loads(line) for path in out.glob("*.jsonl") for line in path.open()]
    assert "3 shards done in this run, 0 failed." in first
    assert len(lines) == 5, lines
    (out / "00000.done").unlink()  # as if it had been cut off
    listed.write_text("".join(f"{file}\n" for file in files))
    assert "2 shards done in this run, 0 failed." in cluster.run(*command, *more, **server)
    told = [line for path in sorted(out.glob("*.jsonl")) for line in path.open()]
    print(f"\n5 files in 3 shards in {took:.1f} s; {len(told)} lines after the list had grown")
    assert len(told) == 6
    assert all(json.loads(line).get("error") is None for line in told)


async def test_new_settings_replace_every_replica(cluster: Cluster) -> None:
    """As from another node of the cluster, under load: nothing is lost."""
    before = set(cluster.replicas().values())
    meanwhile: list[Streamed] = []
    delay = {"DOWNSCALE_DELAY_S": str(IDLE_S)}
    async with users(cluster.url) as client, asking(client, meanwhile, 6, 10):
        assert "Ready: " in await asyncio.to_thread(cluster.run, "-m", "deploy.ray", **delay)
        await asyncio.to_thread(cluster.wait_for_replicas, 2)
    print(f"\n{len(meanwhile)} answers while all were replaced")
    assert {one.ended for one in meanwhile} == {"done"}
    assert not before & set(cluster.replicas().values())


async def test_fewer_replicas_when_idle(cluster: Cluster) -> None:
    """By itself, once there has been less to do for DOWNSCALE_DELAY_S. Whoever asks before, then
    and after is answered."""
    streamed: list[Streamed] = []
    async with users(cluster.url) as client, asking(client, streamed, 1, 3):
        async with asking(client, streamed, 6, 10):
            await asyncio.to_thread(cluster.wait_for_replicas, 2)
        before = len(streamed)
        took = await asyncio.to_thread(cluster.wait_for_replicas, 1)
        then = len(streamed) - before
        await wait_until_async(lambda: len(streamed) > before + then)
        after = len(streamed) - before - then
    print(
        f"\n2 -> 1 replicas {took:.1f} s after six streams became one, {IDLE_S} of them waited; "
        f"{before} answers before, {then} then, {after} after"
    )
    assert took >= IDLE_S
    assert min(before, then, after) > 0
    assert {one.ended for one in streamed} == {"done"}


async def test_the_end_finishes_what_runs(cluster: Cluster) -> None:
    async with users(cluster.url) as client, asyncio.TaskGroup() as group:
        streamed = await begin(client, group, 3, 60)
        cluster.process.send_signal(signal.SIGTERM)
        began = time.monotonic()
    assert [one.ended for one in streamed] == ["done"] * 3
    assert await asyncio.to_thread(cluster.process.wait, HANG_S) == 0
    print(f"\n3 streams finished and all over {time.monotonic() - began:.1f} s after SIGTERM")
    await wait_until_async(lambda: not cluster.processes())
    assert KEY not in cluster.log()
