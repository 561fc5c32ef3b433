"""docs/LIMITS.md: what one request makes another one wait.

UPDATE_DOCS=1 pytest tests/stalls/test_stalls.py     writes the table
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from tests.fake_ollama.server import FakeOllama
from tests.inference_server import REPO, Server
from tests.stalls.inputs import IMAGE, INPUTS, Input, request_of
from tests.stalls.watch import Seen, Watcher, watching

PAGES = [REPO / "docs" / "LIMITS.md", REPO / "docs" / "LIMITS.ko.md"]
TABLE = re.compile(r"(<!-- table: stalls -->\n(?:\|.*\n){2})(?:\|.*\n)*(<!-- end -->)")
WRITES = bool(os.environ.get("UPDATE_DOCS"))
# The promise is 250 ms; where others use the machine, too, the same work takes more CPU.
MOST_STALL_S = 0.25 if WRITES else 1.0
MOST_GROWTH = (200 if WRITES else 400) * 1_000_000  # bytes; a body is 20 MB, and read several times
SIZES = (1, 4)
REFUSALS = {400, 413, 415, 422}


@dataclass(frozen=True, slots=True)
class Got:
    """Of one input at one size."""

    bytes: int
    status: str
    seen: Seen
    growth: int


SEEN: dict[tuple[str, int], Got] = {}


@pytest.fixture(scope="module")
def engine() -> Iterator[FakeOllama]:
    with FakeOllama() as engine:
        yield engine


@pytest.fixture(scope="module")
def server(engine: FakeOllama, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    log = tmp_path_factory.mktemp("stalls") / "server.log"
    settings = {"OLLAMA_HOST": engine.url, "MODEL_NAME": "fake-vlm", "NUM_CTX": "32768"}
    with Server(log, **settings, CACHE_MB="0") as server:
        yield server


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, trust_env=False, timeout=120) as client:
        for _ in range(3):  # what is imported and compiled once is no part of it
            _described(client)
        yield client


@pytest.fixture(scope="module")
def watcher(server: Server, client: httpx.Client) -> Iterator[Watcher]:
    with watching(server) as watcher:
        yield watcher


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("one", INPUTS, ids=lambda one: one.name)
def test_nobody_waits(
    engine: FakeOllama, client: httpx.Client, watcher: Watcher, one: Input, size: int
) -> None:
    sent = one.make(size)
    engine.play(sent.script)
    before = watcher.seen().rss
    answer = client.post(sent.path, **request_of(sent))
    seen = watcher.seen()
    growth = max(0, seen.peak - before)
    length = len(sent.body) + len(sent.content_type)
    if one.name.startswith("Answer"):
        length = sum(len(getattr(step, "data", b"")) for step in sent.script)
    code = answer.json().get("code") or answer.json().get("error", {}).get("code", "")
    status = f"{answer.status_code}" + (f" `{code}`" if code else "")
    SEEN[one.name, size] = Got(length, status, seen, growth)
    assert answer.status_code in REFUSALS | {200}, answer.text[:500]
    assert len(answer.content) < 4_000_000 or answer.status_code == 200
    assert seen.stall_s < MOST_STALL_S, seen
    assert growth < MOST_GROWTH, growth


def test_the_server_still_answers(client: httpx.Client, engine: FakeOllama) -> None:
    engine.reset()
    assert _described(client).json()["text"]


def test_the_table_is_in_the_docs() -> None:
    """The numbers differ from run to run; what they are of does not."""
    if len(SEEN) < len(INPUTS) * len(SIZES):
        pytest.skip("The table is made of all inputs.")
    rows = "".join(map(row, INPUTS))
    for page in PAGES:
        if WRITES:
            page.write_text(TABLE.sub(lambda found: found[1] + rows + found[2], page.read_text()))
        table = TABLE.search(page.read_text())
        assert table
        told = re.findall(r"^\| (.*?) \|", table[0], re.M)[1:]
        assert told == [one.name for one in INPUTS], "run it with UPDATE_DOCS=1"


def row(one: Input) -> str:
    small, large = (SEEN[one.name, size] for size in SIZES)
    status = small.status if small.status == large.status else f"{small.status}, {large.status}"
    cells = [one.name, one.limit, status, f"{_size(small.bytes)}, {_size(large.bytes)}"]
    cells.append(f"{small.seen.wait_s * 1e3:.0f}, {large.seen.wait_s * 1e3:.0f} ms")
    cells.append(f"{small.growth / 1e6:.0f}, {large.growth / 1e6:.0f} MB")
    return f"| {' | '.join(cells)} |\n"


def _size(length: int) -> str:
    return f"{length / 1e6:.1f} MB" if length >= 100_000 else f"{length / 1e3:.1f} kB"


def _described(client: httpx.Client) -> httpx.Response:
    return client.post("/v1/describe", json={"image": IMAGE})
