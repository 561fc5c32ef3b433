"""The faults of an engine: the rows of docs/FAULTS.md, with what the client must get."""

import os
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from tests.fake_ollama.script import (
    HANG,
    Cut,
    Head,
    Script,
    Send,
    Wait,
    begins,
    done,
    line,
    page,
    refuses,
    replies,
    says,
    word,
    words,
)
from tests.fake_ollama.server import FakeOllama
from tests.ollama_daemon.process import Daemon
from tests.processes import stopped


class Within(Enum):
    """How long the client waits at most."""

    SECOND = "< 1 s"
    SECONDS = "< 5 s"
    STALL = "`STALL_TIMEOUT_S`"
    REQUEST = "`REQUEST_TIMEOUT_S`"


@dataclass(frozen=True, slots=True)
class Fault:
    """`code` is that of the problem, empty for a whole answer; `fields` are added to the
    request."""

    name: str
    code: str
    within: Within = Within.SECOND
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Scripted(Fault):
    """Scripts that the fake Ollama plays at a path; without scripts it is stopped."""

    scripts: tuple[Script, ...] = ()
    at: str = "/api/chat"

    def begin(self, fake_ollama: FakeOllama) -> None:
        if self.scripts:
            fake_ollama.play(*self.scripts, at=self.at)
        else:
            fake_ollama.stop()

    def end(self, fake_ollama: FakeOllama) -> None:
        fake_ollama.reset()
        if not self.scripts:
            fake_ollama.start()


@dataclass(frozen=True, slots=True)
class Broken(Fault):
    """A fault of the real daemon: what begins it, before the request or in the middle of the
    answer, and what ends it."""

    begin: Callable[[Daemon], None] = Daemon.kill
    end: Callable[[Daemon], None] = Daemon.start
    meanwhile: bool = True


def freeze(daemon: Daemon) -> None:
    os.kill(daemon.pid, signal.SIGSTOP)
    while not stopped(daemon.pid):  # another core may still answer a request
        time.sleep(0.001)


def thaw(daemon: Daemon) -> None:
    os.kill(daemon.pid, signal.SIGCONT)


def freeze_runner(daemon: Daemon) -> None:
    for pid in daemon.runners():
        os.kill(pid, signal.SIGSTOP)


def kill_frozen_runner(daemon: Daemon) -> None:
    daemon.kill_runner()  # a frozen one would first say the rest


def restart(daemon: Daemon) -> None:
    daemon.kill()
    daemon.start()


def nothing(daemon: Daemon) -> None:
    """The daemon recovers by itself."""


REAL = [
    Broken("The daemon is killed in the middle of an answer", "engine_interrupted"),
    Broken("The daemon is stopped in the middle of an answer", "engine_interrupted",
           Within.SECONDS, begin=Daemon.stop),
    Broken("The runner is killed in the middle of an answer", "engine_interrupted",
           begin=Daemon.kill_runner, end=nothing),
    Broken("The daemon freezes in the middle of an answer", "engine_interrupted",
           Within.STALL, begin=freeze, end=thaw),
    Broken("The runner freezes in the middle of an answer", "engine_interrupted",
           Within.STALL, begin=freeze_runner, end=kill_frozen_runner),
    Broken("The daemon is not running", "engine_unavailable", Within.SECONDS,
           meanwhile=False, begin=Daemon.stop),
    Broken("The daemon is frozen", "deadline_exceeded", Within.REQUEST,
           meanwhile=False, begin=freeze, end=thaw),
    Broken("The idle runner was killed", "", Within.SECONDS,
           meanwhile=False, begin=Daemon.kill_runner, end=nothing),
    Broken("The daemon was killed and started again", "", Within.SECONDS,
           meanwhile=False, begin=restart, end=nothing),
]  # fmt: skip

LOOP = "the same line of a table again and again, " * 200
COUNTING = " ".join(map(str, range(2000)))
OOM = "llama runner process has terminated: cudaMalloc failed: out of memory"
RAM = "model requires more system memory (21.3 GiB) than is available (15.2 GiB)"
SERVER_ENDED = "llama-server process has terminated: signal: killed"
TOO_LONG = "request (9000 tokens) exceeds the available context size (4096 tokens)"
REPEATED = "prediction aborted, token repeat limit reached"
DOTS = "Contents" + " ." * 32
BUSY = "server busy, please try again.  maximum pending requests exceeded"
CRASH = "an error was encountered while running the model: unexpected EOF"
BARE_DONE = line(message={"role": "assistant", "content": ""}, done=True)

SCRIPTED = [
    Scripted("Nobody listens at `OLLAMA_HOST`", "engine_unavailable", Within.SECONDS),
    Scripted("Something else listens there: a web page instead of the model's details",
             "engine_error", fields={"model": "fake-think"},
             at="/api/show", scripts=(page(200),)),
    Scripted("Something else listens there: a web page instead of the stream", "engine_error",
             scripts=(page(200),)),
    Scripted("A proxy between says 502, in HTML", "engine_error", scripts=(page(502),)),
    Scripted("A redirect", "engine_error",
             scripts=((Head(302, location="http://127.0.0.1:9/"),),)),
    Scripted("Busy: 503", "engine_unavailable", Within.SECONDS, scripts=(refuses(503, BUSY),)),
    Scripted("Busy once, then not", "", Within.SECONDS,
             scripts=(refuses(503, BUSY), says("an answer"))),
    Scripted("An error of its own: 500", "engine_error", scripts=(refuses(500, "EOF"),)),
    Scripted("The model was removed a moment ago: 404", "model_not_found",
             scripts=(refuses(404, "model 'fake-vlm' not found"),)),
    Scripted("Out of GPU memory while loading", "model_loading_failed",
             scripts=(refuses(500, OOM),)),
    Scripted("Not enough memory to load", "model_loading_failed", scripts=(refuses(500, RAM),)),
    Scripted("llama-server does not start", "model_loading_failed",
             scripts=(refuses(500, SERVER_ENDED),)),
    Scripted("The prompt does not fit: 400, nested", "context_overflow",
             scripts=(replies(400, {"error": {"error": {"code": 400, "message": TOO_LONG}}}),)),
    Scripted("Slow to load", "", Within.SECONDS, scripts=((Wait(1.2), *says("an answer")),)),
    Scripted("Slower to load than a request may take", "deadline_exceeded", Within.REQUEST,
             scripts=(HANG,)),
    Scripted("The connection is reset before the answer", "engine_interrupted", Within.SECONDS,
             scripts=((Cut.RESET,),)),
    Scripted("The connection is reset before the answer, once", "", Within.SECONDS,
             scripts=((Cut.RESET,), says("an answer"))),
    Scripted("The connection is reset in the middle", "engine_interrupted",
             scripts=(begins("a small", Cut.RESET),)),
    Scripted("The connection is closed in the middle", "engine_interrupted",
             scripts=(begins("a small", Cut.CLOSED),)),
    Scripted("Silence in the middle", "engine_interrupted", Within.STALL,
             scripts=(begins("a small", Wait()),)),
    Scripted("An answer without end, a word at a time", "deadline_exceeded", Within.REQUEST,
             scripts=(begins(COUNTING, pace_s=0.1),)),
    Scripted("An error instead of the first word, with status 200", "engine_error",
             scripts=((Head(), line(error="unexpected EOF")),)),
    Scripted("An error in the middle", "engine_interrupted",
             scripts=(begins("a small", line(error=CRASH)),)),
    Scripted("The stream ends without `done`", "engine_interrupted",
             scripts=(begins("a small"),)),
    Scripted("The engine ends an answer over 31 equal tokens, without a word", "",
             fields={"model": "fake-think"}, scripts=(begins(DOTS), says("an answer"))),
    Scripted("The engine ends an answer over 101 equal tokens, with an error", "",
             fields={"model": "fake-think"},
             scripts=(begins(DOTS + " ." * 70, line(error=REPEATED)), says("an answer"))),
    Scripted("The same where the model cannot go on behind them", "engine_interrupted",
             scripts=(begins(DOTS + " ." * 70, line(error=REPEATED)),)),
    Scripted("A line that is no JSON", "engine_error",
             scripts=(begins("a small", Send(b"panic: runtime error\n"), done()),)),
    Scripted("A line that is JSON of another kind", "engine_error",
             scripts=(begins("a small", Send(b'{"message": [1]}\n'), done()),)),
    Scripted("The stream ends within a line", "engine_error",
             scripts=(begins("a small", Send(b'{"message": {"conte')),)),
    Scripted("A byte that is not UTF-8", "engine_error",
             scripts=(begins("a", Send(b'{"message": {"content": " \xffsmall"}}\n'), done()),)),
    Scripted("A line separator of Unicode within a word", "",
             scripts=(says("one\x85two\u2028three"),)),
    Scripted("A line of 4 MB", "", Within.SECONDS,
             scripts=(begins("", word("x" * 4_000_000), done()),)),
    Scripted("An answer that repeats itself", "", scripts=(says(LOOP),)),
    Scripted("An answer longer than `max_tokens`", "", fields={"max_tokens": "20"},
             scripts=(says(COUNTING),)),
    Scripted("An answer without counts", "",
             scripts=((Head(), *words("an answer"), BARE_DONE),)),
    Scripted("An empty answer, once", "", scripts=(says(""), says("an answer"))),
    Scripted("An empty answer, again and again", "", scripts=(says(""),)),
    Scripted("Only thoughts, again and again", "engine_error",
             fields={"model": "fake-think", "think": "true"},
             scripts=(says("", thoughts="let me think"),)),
    Scripted("The prompt was cut in silence", "context_overflow",
             scripts=(says("an answer", prompt_tokens=4096),)),
]  # fmt: skip
