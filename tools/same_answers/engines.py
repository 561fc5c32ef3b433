"""The sets of requests, each with an engine and settings for the servers."""

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from tests.engine_embedded import embedded_engine
from tests.fake_ollama.script import Wait, says
from tests.fake_ollama.server import FakeOllama
from tests.fake_ollama.versioned import NAME, VersionedOllama
from tests.fake_ollama.versions import Rendered, Rules
from tests.integration.faults import SCRIPTED, Scripted
from tests.ollama_daemon.install import HOME, unsupported
from tests.ollama_daemon.process import Daemon
from tests.ports import free_port
from tools.same_answers.request_set import (
    EXAMPLES,
    SMALL,
    Sent,
    cached,
    chat,
    chats,
    documents,
    draining,
    form,
    full,
    get,
    keys,
    limits,
    operations,
    refused,
    tasks,
    waiting,
)

HOLD = "hold the slot"  # a request with this prompt keeps the engine busy
HELD_S = 2.0
# How much text comes before these are ended depends on the time.
TIME_DEPENDENT = ("An answer that repeats itself", "An answer without end, a word at a time")


@dataclass(frozen=True, slots=True)
class Setup:
    """One set, with a running engine.

    Attributes:
        settings: environment variables of the servers.
        received: returns the bodies of the chats since the last call, if the engine keeps them.
        recovers: whether to wait before each request until the servers answer again.
    """

    settings: Mapping[str, str]
    requests: list[Sent]
    received: Callable[[], list[object]] = list
    recovers: bool = False


Start = Callable[[], AbstractContextManager[Setup]]


def describe_input(prompt: Rendered) -> str:
    """The answer of the fake model: in the format of the prompt, with the sizes of the pictures."""
    if "text_content" in prompt.text:
        return json.dumps([{"bbox_2d": [0, 0, 500, 100], "text_content": "Total 25"}])
    if "Write HTML" in prompt.text:
        return "<h1>Bill</h1><table><tr><td>Total</td><td>25</td></tr></table>"
    if "Markdown tables" in prompt.text:
        return "# Bill\n\n| Total |\n|---|\n| 25 |"
    sizes = ", ".join(f"{one.width} x {one.height}" for one in prompt.pictures)
    return f"I see {sizes or 'nothing'} in {prompt.tokens} tokens.\n\nThat is all."


@contextmanager
def fake_daemon(version: str, requests: list[Sent], **settings: str) -> Iterator[Setup]:
    """A fake daemon that follows the rules of a version."""
    with VersionedOllama(Rules(version), describe_input) as engine:

        def script(body: dict[str, Any]) -> Any:
            if HOLD in str(body["messages"]):
                return (Wait(HELD_S), *says("done"))
            return engine._chat(body)

        def received() -> list[object]:
            bodies: list[object] = list(engine.asked)
            engine.asked.clear()
            return bodies

        engine.chosen = script
        given = {"OLLAMA_HOST": engine.url, "MODEL_NAME": NAME, "NUM_CTX": "16384"}
        yield Setup({**given, "CACHE_MB": "0", **settings}, requests, received)


@contextmanager
def faults() -> Iterator[Setup]:
    """A scripted engine with each of the faults of docs/FAULTS.md."""
    with FakeOllama() as engine:
        given = {"OLLAMA_HOST": engine.url, "MODEL_NAME": "fake-vlm", "NUM_CTX": "4096"}
        limits = {"STALL_TIMEOUT_S": "1", "REQUEST_TIMEOUT_S": "2", "CACHE_MB": "0"}
        requests = [
            replace(sent, name=f"{fault.name}: {name}", engine=partial(_broken, fault, engine))
            for fault in SCRIPTED
            if fault.name not in TIME_DEPENDENT
            for name, sent in {
                "JSON": form("describe", "", SMALL, **fault.fields),
                "SSE": form("describe", "", SMALL, stream="true", **fault.fields),
                "chat": chat("", stream=True, **fault.fields),
            }.items()
        ]
        yield Setup({**given, **limits}, requests, recovers=True)


@contextmanager
def _broken(fault: Scripted, engine: FakeOllama) -> Iterator[None]:
    fault.begin(engine)
    try:
        yield
    finally:
        fault.end(engine)


@contextmanager
def no_engine() -> Iterator[Setup]:
    """Nothing listens where the engine should be."""
    given = {"OLLAMA_HOST": f"http://127.0.0.1:{free_port()}", "MODEL_NAME": NAME}
    paths = ("/ready", "/v1/models", "/v1/status")
    yield Setup(given, [*map(get, paths), form("ocr", "JSON"), chat("streamed", stream=True)])


@contextmanager
def real_daemon() -> Iterator[Setup]:
    """The real daemon with the tiny model."""
    with Daemon() as process:
        given = {"OLLAMA_HOST": process.url, "MODEL_NAME": "tiny-vlm", "NUM_CTX": "4096"}
        requests = [*tasks(), *documents(), *chats(), get("/ready"), get("/v1/models/tiny-vlm")]
        # An unknown model is answered with the installed ones, which the daemon lists in any order.
        yield Setup(given, [sent for sent in requests if "unknown model" not in sent.name])


@contextmanager
def embedded_setup() -> Iterator[Setup]:
    """The embedded engine of the new commit."""
    pictures = {name: (EXAMPLES / name).read_bytes() for name in
                ("receipt_ko.png", "table.png", "photo.jpg", "letter.pdf")}  # fmt: skip
    requests = list(tasks(pictures["table.png"]))
    for name, data in pictures.items():
        kinds = ("text", "markdown", "html", "json")
        requests += [form("ocr", f"{name} as {kind}", data, format=kind) for kind in kinds]
        requests.append(form("describe", name, data))
        requests.append(form("vqa", name, data, question="합계는 얼마인가요?"))
        requests.append(form("detect", name, data, labels=["person", "text"]))
    with tempfile.TemporaryDirectory() as folder, embedded_engine(Path(folder, "log")) as url:
        yield Setup({"OLLAMA_HOST": url, "MODEL_NAME": "embedded"}, requests)


NEW, OLD = "0.34.0", "0.9.3"
everything = [*tasks(), *documents(), *chats(), *operations(NAME), *refused()]
SETS: dict[str, Start] = {
    "new daemon": partial(fake_daemon, NEW, everything),
    "old daemon": partial(fake_daemon, OLD, [*tasks(), *chats()]),
    "cache": partial(fake_daemon, NEW, list(cached()), CACHE_MB="64"),
    "keys": partial(fake_daemon, NEW, list(keys()), API_KEYS="secret,other",
                    CORS_ORIGINS="https://a.test"),
    "limits": partial(fake_daemon, NEW, list(limits()), MAX_BODY_MB="1", MAX_IMAGES="2",
                      MAX_PAGES="2", MAX_IMAGE_MEGAPIXELS="1", ALLOWED_MODELS=NAME,
                      ALLOW_URL_FETCH="true", NUM_CTX="8192"),
    "queue": partial(fake_daemon, NEW, list(waiting())),
    "full": partial(fake_daemon, NEW, list(full()), MAX_QUEUE="0", RATE_LIMIT="4/day"),
    "draining": partial(fake_daemon, NEW, list(draining())),
    "faults": faults,
    "no engine": no_engine,
}  # fmt: skip
DAEMON, EMBEDDED = "real daemon", "embedded engine"


def sets(with_embedded: bool) -> dict[str, Start]:
    """The sets that this machine can run, by name."""
    found = dict(SETS)
    if not unsupported() and HOME.exists():
        found[DAEMON] = real_daemon
    if with_embedded:
        found[EMBEDDED] = embedded_setup
    return found
