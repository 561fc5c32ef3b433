"""Far more clients than the engine can serve: each is answered or told when to come again."""

import asyncio
from collections import Counter
from pathlib import Path

import httpx

from benchmarks.soak import Reading
from tests.events import sse
from tests.fake_ollama.script import says
from tests.fake_ollama.server import FakeOllama
from tests.inference_server import Server
from tests.pictures import encoded, scene
from tests.polling import HANG_S, wait_until

CLIENTS = 200
SETTINGS = {"NUM_CTX": "8192", "NUM_PARALLEL": "1", "MAX_QUEUE": "64", "REQUEST_TIMEOUT_S": "6"}
CACHE = {"CACHE_MB": "0"}  # what is kept may grow memory, up to this
PICTURES = [encoded(scene(64 + side, 64)) for side in range(CLIENTS)]  # none shares another's
MOST_GROWTH = 1.10
WAVES = 3  # of which the first warms up


async def wave(url: str) -> Counter[str]:
    """All at once, half of them in streams; how they ended."""
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=120, limits=limits) as http:
        return Counter(await asyncio.gather(*(ask(http, number) for number in range(CLIENTS))))


async def ask(http: httpx.AsyncClient, number: int) -> str:
    data = {"stream": str(number % 2 == 0)}
    answer = await http.post("/v1/describe", files={"image": PICTURES[number]}, data=data)
    if answer.status_code == 200 and number % 2 == 0:
        name, told = sse(answer.text)[-1]
        return "answered" if name == "done" else str(told["code"])
    if answer.status_code == 200:
        assert answer.json()["text"]
        return "answered"
    code = str(answer.json()["code"])
    if answer.status_code in (429, 503):
        assert int(answer.headers["retry-after"]) > 0
    return code


def at_rest(url: str) -> bool:
    """Whether no request runs or waits."""
    status = httpx.get(f"{url}/v1/status", trust_env=False).json()
    return (status["slots"]["running"], status["queue"]["waiting"]) == (0, 0)


async def test_200_clients_for_one_slot(tmp_path: Path) -> None:
    """A generation takes 0.16 s and a request 6 s at most, so that all three ends come."""
    with FakeOllama() as fake_ollama:
        fake_ollama.play(says("one two three four five", pace_s=0.032))
        with Server(
            tmp_path / "log",
            OLLAMA_HOST=fake_ollama.url,
            MODEL_NAME="fake-vlm",
            **SETTINGS,
            **CACHE,
        ) as server:
            pid, readings, ends = server.process.pid, [], Counter[str]()
            for _ in range(WAVES):
                async with asyncio.timeout(HANG_S):
                    ends += await wave(server.url)
                await asyncio.to_thread(wait_until, lambda: at_rest(server.url))
                await asyncio.sleep(0.5)
                readings.append(Reading.of(pid))
            last = readings[0].descriptors + 4  # a connection to the engine may end later
            await asyncio.to_thread(wait_until, lambda: Reading.of(pid).descriptors <= last)
    print(dict(ends), [round(reading.rss_mb, 1) for reading in readings])
    assert ends.total() == WAVES * CLIENTS
    assert set(ends) == {"answered", "queue_full", "deadline_exceeded"}
    # One that is answered, and those that were left a moment ago; without a gate it would be 200.
    assert fake_ollama.counts.most <= 20
    assert readings[-1].rss_mb <= readings[0].rss_mb * MOST_GROWTH
