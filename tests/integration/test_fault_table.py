"""docs/FAULTS.md: every fault as JSON and as a stream, and that the next request is answered.

UPDATE_DOCS=1 pytest tests/integration/test_fault_table.py     writes the file
"""

import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from app import errors
from tests.events import sse, text_of
from tests.fake_ollama.server import FakeOllama
from tests.inference_server import REPO, Server
from tests.integration.faults import REAL, SCRIPTED, Broken, Fault, Scripted, Within
from tests.ollama_daemon.process import Daemon
from tests.pictures import encoded, scene
from tests.relay import Relay

DOCS = REPO / "docs" / "FAULTS.md"
FILES = {"image": encoded(scene(64, 64))}
STALL_S = 1.0
REQUEST_S: dict[type[Fault], float] = {Scripted: 2.0, Broken: 10.0}  # a busy machine loads slowly
SETTINGS = {"NUM_CTX": "4096", "STALL_TIMEOUT_S": str(STALL_S)}
FORMS = ["json", "stream"]
EARLY_S = 0.2  # the last token came before the fault
SLACK_S = 1.5  # on a machine that others use, too
PROBLEMS = [each for each in vars(errors).values() if isinstance(each, type)]
STATUS = {each.code: each.status for each in PROBLEMS if issubclass(each, errors.Problem)}
STATUS[""] = 200
BEGUN_S = 120.0  # for the first token of the slow model
RECOVERY_S = 120.0  # the breaker lets a probe through every second, and a model is to be loaded
TRIES = 3  # of a fault: a busy machine may break a limit once
TOP = """\
# Engine failures

This page shows what a client receives when the engine fails, as JSON and as a stream, and the
maximum time until then. In the column of the stream, a code after 200 is the code of the `error`
event that ends the stream. `tests/integration/test_fault_table.py` causes each fault in front of a
running server and writes this page. It also checks that the server answers the next request without
a restart.

| fault | engine | as JSON | as a stream | first sentence of the message | within |
|---|---|---|---|---|---|
"""


@dataclass(frozen=True, slots=True)
class Got:
    """What a client got: `code` is empty for a whole answer; `said` is the problem's first
    sentence, else the first warning."""

    status: int
    code: str
    said: str
    seconds: float

    def cell(self) -> str:
        return f"{self.status} {f'`{self.code}`' if self.code else 'answer'}"


SEEN: dict[tuple[str, str], Got] = {}


@pytest.fixture(scope="module")
def fake_ollama() -> Iterator[FakeOllama]:
    with FakeOllama() as fake_ollama:
        yield fake_ollama


@pytest.fixture(scope="module")
def scripted(
    fake_ollama: FakeOllama, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    """A client of a server in front of the fake Ollama."""
    log = tmp_path_factory.mktemp("scripted") / "server.log"
    settings = _settings(Scripted, fake_ollama.url)
    with Server(log, MODEL_NAME="fake-vlm", **settings) as server:
        yield from _client(server)


@pytest.fixture(scope="module")
def real(
    _daemon_process: Daemon, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    """A client of a server in front of the real daemon."""
    log = tmp_path_factory.mktemp("real") / "server.log"
    settings = _settings(Broken, _daemon_process.url)
    with Server(log, MODEL_NAME="tiny-vlm", **settings) as server:
        yield from _client(server)


@pytest.fixture(scope="module")
def relay(_daemon_process: Daemon) -> Iterator[Relay]:
    """To the real daemon: it sees the first token of an answer."""
    with Relay(_daemon_process.port, mark=b'"message"') as relay:
        yield relay


@pytest.fixture(scope="module")
def relayed(relay: Relay, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of a server that reaches the real daemon through the relay, and waits for it."""
    log = tmp_path_factory.mktemp("relayed") / "server.log"
    settings = {**SETTINGS, "OLLAMA_HOST": relay.url, "REQUEST_TIMEOUT_S": str(BEGUN_S)}
    with Server(log, MODEL_NAME="slow-vlm", **settings) as server:
        yield from _client(server)


def _settings(kind: type[Fault], engine: str) -> dict[str, str]:
    return {**SETTINGS, "OLLAMA_HOST": engine, "REQUEST_TIMEOUT_S": str(REQUEST_S[kind])}


def _client(server: Server) -> Iterator[httpx.Client]:
    headers = {"Cache-Control": "no-store"}
    with httpx.Client(
        base_url=server.url, trust_env=False, timeout=BEGUN_S, headers=headers
    ) as client:
        yield client


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("fault", SCRIPTED, ids=lambda fault: fault.name)
def test_scripted(
    scripted: httpx.Client, fake_ollama: FakeOllama, fault: Scripted, form: str
) -> None:
    def once() -> Got:
        fault.begin(fake_ollama)
        try:
            return ask(scripted, form, fault.fields)
        finally:
            fault.end(fake_ollama)

    check(fault, form, once, scripted)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "fault", [fault for fault in REAL if not fault.meanwhile], ids=lambda fault: fault.name
)
def test_before_the_request(real: httpx.Client, daemon: Daemon, fault: Broken, form: str) -> None:
    def once() -> Got:
        recover(real)
        try:
            fault.begin(daemon)
            return ask(real, form, fault.fields)
        finally:
            fault.end(daemon)

    check(fault, form, once, real)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "fault", [fault for fault in REAL if fault.meanwhile], ids=lambda fault: fault.name
)
def test_in_the_middle(
    relayed: httpx.Client, relay: Relay, daemon: Daemon, fault: Broken, form: str
) -> None:
    def once() -> Got:
        recover(relayed)
        relay.seen.clear()
        try:
            return ask(relayed, form, fault.fields, Breaking(fault, daemon, relay))
        finally:
            fault.end(daemon)

    check(fault, form, once, relayed)


def test_the_table_is_in_the_docs() -> None:
    faults: list[Fault] = [*REAL, *SCRIPTED]
    if len(SEEN) < len(faults) * len(FORMS):
        pytest.skip("The table is made of all faults.")
    table = TOP + "".join(map(row, faults))
    if os.environ.get("UPDATE_DOCS"):
        DOCS.parent.mkdir(exist_ok=True)
        DOCS.write_text(table)
    assert DOCS.read_text() == table, "run it with UPDATE_DOCS=1, and look at what changed"


class Breaking(threading.Thread):
    """Makes the fault when the answer has begun; `at` is the moment."""

    def __init__(self, fault: Broken, daemon: Daemon, relay: Relay) -> None:
        super().__init__(daemon=True)
        self._fault, self._daemon, self._relay = fault, daemon, relay
        self.at = 0.0

    def run(self) -> None:
        if self._relay.seen.wait(BEGUN_S):
            self.at = time.monotonic()
            self._fault.begin(self._daemon)


def ask(
    client: httpx.Client, form: str, fields: Mapping[str, str], breaking: Breaking | None = None
) -> Got:
    """One request, timed from the fault; that it ends in one way and says so is checked.
    breaking: what makes the fault while the request is answered."""
    stream = form == "stream"
    data = {"max_tokens": "2000", "stream": str(stream).lower(), **fields}
    fault_at = time.monotonic()
    if breaking:
        breaking.start()
    response = client.post("/v1/describe", files=FILES, data=data)
    seconds = time.monotonic() - (breaking.at if breaking else fault_at)
    if breaking:
        breaking.join()
        assert breaking.at, f"The answer ended before it had begun: {response.text}"
    if stream and response.status_code == 200:
        events = sse(response.text)
        assert [name for name, _ in events if name in ("done", "error")] == [events[-1][0]]
        body = events[-1][1]
        if "code" in body:
            assert body.get("partial", "") in (text_of(events), "")
        else:
            assert text_of(events).startswith(body["text"])
    else:
        body = response.json()
        if response.status_code != 200:
            assert response.headers["content-type"] == "application/problem+json"
            assert body["status"] == response.status_code
    return Got(response.status_code, body.get("code", ""), _said(body), seconds)


def check(fault: Fault, form: str, once: Callable[[], Got], client: httpx.Client) -> None:
    """The fault gives what the table says each time, and within its limits at least once."""
    least, most = _limits(fault)
    for _ in range(TRIES):
        got = once()
        assert got.code == fault.code, got
        assert got.status in {STATUS[got.code]} | ({200} if form == "stream" else set())
        recover(client)
        if least <= got.seconds < most:
            SEEN[fault.name, form] = got
            return
    pytest.fail(f"not within {least} to {most} s in {TRIES} tries: {got}")


def recover(client: httpx.Client) -> None:
    """The next request is answered, as soon as the breaker lets it through."""
    deadline = time.monotonic() + RECOVERY_S
    # 504: on a machine that others use, too, a model takes its time to load.
    while (
        answer := client.post("/v1/describe", files=FILES, data={"max_tokens": "1"})
    ).status_code in (503, 504):
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.1)
    assert answer.status_code == 200, answer.text
    assert answer.json()["text"]


def row(fault: Fault) -> str:
    one, other = (SEEN[fault.name, form] for form in FORMS)
    engine = "real" if isinstance(fault, Broken) else "fake"
    said = one.said if one.said == other.said else f"{one.said} / {other.said}"
    cells = (fault.name, engine, one.cell(), other.cell(), said, fault.within.value)
    return f"| {' | '.join(cells)} |\n"


def _limits(fault: Fault) -> tuple[float, float]:
    """Seconds: at least, less than."""
    match fault.within:
        case Within.SECOND:
            return 0, 1
        case Within.SECONDS:
            return 0, 5
        case Within.STALL:
            limit = STALL_S
        case Within.REQUEST:
            limit = REQUEST_S[type(fault)]
    return limit - EARLY_S, limit + SLACK_S


def _said(body: dict[str, Any]) -> str:
    """The first sentence of a problem, or the first warning; without what differs by the run."""
    warnings = body.get("warnings") or [""]
    text = str(body.get("detail", warnings[0]))
    first = re.split(r"(?<=[.)])\s+(?=[A-Z])", text)[0]
    return re.sub(r"http://127\.0\.0\.1:\d+", "OLLAMA_HOST", first)
