"""A fake Ollama that answers, and fails, by scripts.

    with FakeOllama() as fake_ollama:
        fake_ollama.play(refuses(500, "unexpected EOF"), says("a house"))  # the second from then on
        ...
        assert fake_ollama.counts.chats == 2

It is written on asyncio streams, since most of the faults are what no HTTP server would do.
"""

import asyncio
import json
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Self

from tests.fake_ollama.script import (
    SUCCESS,
    Cut,
    Head,
    Lines,
    Script,
    Send,
    Wait,
    line,
    refuses,
    replies,
    says,
)
from tests.polling import HANG_S
from tests.ports import free_port

VERSION = "0.9.3"
MODELS = {  # name: capabilities
    "fake-vlm": ("completion", "vision"),
    "fake-think": ("completion", "vision", "thinking"),
    "fake-text": ("completion",),
}
SIZE = 1_000_000_000  # bytes, as told of each model
SENTENCE = "A small red house stands near two green trees under white clouds."
RST = struct.pack("ii", 1, 0)  # SO_LINGER: nothing is waited for, nothing is sent any more


@dataclass(slots=True)
class Counts:
    """Counts of chats: all; cancelled by the client before the end of the script; running now; the
    most that ran at once."""

    chats: int = 0
    cancelled: int = 0
    running: int = 0
    most: int = 0

    @contextmanager
    def one(self) -> Iterator[None]:
        self.chats += 1
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            yield
        finally:
            self.running -= 1


class FakeOllama:
    """A server in a thread, on a loopback port of its own.

    `stop` is like a crash: all connections are reset, and new ones are refused until `start`.

    Args:
        version: what /api/version tells.
        models: name -> capabilities, of the installed models; the first one is loaded.
        slots: chats that run at once, the others wait without a word; 0: all.

    Attributes:
        counts: of the chats.
        asked: the bodies of the last chats.
        chosen: the script of a chat by its body, where it is set: pages of a document are not sure
            to come in order.
        pulls: the lines of each call of /api/pull. One whose lines end neither with success nor
            with an error is cut off in the middle of the body. A success installs the model.
        pulled: the models that were pulled.
    """

    def __init__(
        self,
        version: str = VERSION,
        models: Mapping[str, Sequence[str]] = MODELS,
        slots: int = 0,
    ) -> None:
        self.version, self.models, self.slots = version, dict(models), slots
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.counts = Counts()
        self.asked: deque[dict[str, Any]] = deque(maxlen=8)
        self.pulls: list[Lines] = []
        self.pulled: list[str] = []
        self._scripts: dict[str, deque[Script]] = {}
        self._connections: dict[asyncio.Task[Any], asyncio.StreamWriter] = {}
        self._ready = threading.Event()
        self.reset()

    def reset(self) -> None:
        """Answer every path as a healthy engine does."""
        self._scripts = {"/api/chat": deque([says(SENTENCE)])}
        self.chosen: Callable[[dict[str, Any]], Script] | None = None

    def play(self, *scripts: Script, at: str = "/api/chat") -> None:
        """Play one script for each of the next requests to a path; the last one stays."""
        self._scripts[at] = deque(scripts)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Listen (again, on the same port)."""
        self._ready.clear()
        self._thread = threading.Thread(target=asyncio.run, args=(self._serve(),), daemon=True)
        self._thread.start()
        if not self._ready.wait(HANG_S):
            raise RuntimeError(f"The fake Ollama could not listen on port {self.port}.")

    def stop(self) -> None:
        """End as in a crash. Does nothing when stopped."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._over.set)
            self._thread.join()

    async def _serve(self) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        self._turns = asyncio.Semaphore(self.slots or 1_000_000)
        server = await asyncio.start_server(self._connected, "127.0.0.1", self.port)
        self._ready.set()
        await self._over.wait()
        server.close()
        for task, writer in list(self._connections.items()):
            _reset(writer)
            task.cancel()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections[task] = writer
        try:
            while (request := await _request(reader)) and await self._answer(
                *request, reader, writer
            ):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client is gone, or this engine is
        finally:
            del self._connections[task]
            writer.close()

    async def _answer(
        self, path: str, body: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Answer one request; whether the connection is kept. That of a chat is not: it is read to
        its end, which tells that the client has left."""
        script = self._script(path, body)
        if path != "/api/chat":
            return await _play(script, writer)
        self.asked.append(json.loads(body))
        async with self._turns:
            await self._generate(script, reader, writer)
        return False

    async def _generate(
        self, script: Script, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        with self.counts.one():
            playing = asyncio.create_task(_play(script, writer, last=True))
            leaving = asyncio.create_task(reader.read())
            try:
                await asyncio.wait((playing, leaving), return_when=asyncio.FIRST_COMPLETED)
                self.counts.cancelled += not playing.done()
            finally:
                playing.cancel()
                leaving.cancel()
                await asyncio.gather(playing, leaving, return_exceptions=True)

    def _script(self, path: str, body: bytes) -> Script:
        if path in ("/api/show", "/api/chat"):
            name = str(json.loads(body)["model"]).removesuffix(":latest")
            if name not in self.models:
                return refuses(404, f"model '{name}' not found")
        if path == "/api/chat" and self.chosen:
            return self.chosen(json.loads(body))
        if scripts := self._scripts.get(path):
            return scripts.popleft() if len(scripts) > 1 else scripts[0]
        return self._healthy(path, body)

    def _healthy(self, path: str, body: bytes) -> Script:
        """What an engine in good health answers to anything but a chat."""
        listed = [_entry(name) for name in self.models]
        told: dict[str, Any]
        match path:
            case "/api/version":
                told = {"version": self.version}
            case "/api/tags":
                told = {"models": listed}
            case "/api/ps":
                told = {"models": [{**one, "size_vram": SIZE} for one in listed[:1]]}
            case "/api/show":
                told = _details(self.models[str(json.loads(body)["model"]).removesuffix(":latest")])
            case "/api/pull":
                return self._pulled(str(json.loads(body)["model"]))
            case _:
                return (Head(404, "text/plain"), Send(b"404 page not found"))
        return replies(200, told)

    def _pulled(self, name: str) -> Script:
        lines = self.pulls[len(self.pulled)]
        self.pulled.append(name)
        sent: Script = (Head(), *(line(**one) for one in lines))
        if lines[-1] == SUCCESS[-1]:
            self.models[name] = ("completion", "vision")
            return sent
        return sent if "error" in lines[-1] else (*sent, Cut.CLOSED)


async def _request(reader: asyncio.StreamReader) -> tuple[str, bytes] | None:
    """The path and the body of the next request; None when the client has closed."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError:
        return None
    first, *fields = head.splitlines()
    length = 0
    for field in fields:
        name, _, value = field.partition(":")
        if name.lower() == "content-length":
            length = int(value)
    return first.split()[1], await reader.readexactly(length)


async def _play(script: Script, writer: asyncio.StreamWriter, *, last: bool = False) -> bool:
    """Play a script; whether the response is complete. A `last` response closes the connection."""
    for step in script:
        match step:
            case Head():
                writer.write(_head(step, last))
            case Send():
                writer.write(b"%x\r\n%b\r\n" % (len(step.data), step.data))
                await writer.drain()
            case Wait():
                await asyncio.sleep(step.seconds)
            case Cut.CLOSED:
                return False
            case Cut.RESET:
                _reset(writer)
                return False
    writer.write(b"0\r\n\r\n")
    await writer.drain()
    return True


def _head(head: Head, last: bool) -> bytes:
    lines = [
        f"HTTP/1.1 {head.status} {HTTPStatus(head.status).phrase}",
        f"Content-Type: {head.media_type}",
        "Transfer-Encoding: chunked",
    ]
    if last:
        lines.append("Connection: close")
    if head.location:
        lines.append(f"Location: {head.location}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _reset(writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):  # closed already
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RST)
    writer.transport.abort()


def _entry(name: str) -> dict[str, Any]:
    full = f"{name}:latest"
    return {"name": full, "model": full, "size": SIZE, "digest": name.ljust(64, "0")}


def _details(capabilities: Sequence[str]) -> dict[str, Any]:
    return {
        "details": {"family": "fake-vlm", "format": "gguf"},
        "model_info": {"general.architecture": "fake-vlm", "fake.context_length": 32768},
        "capabilities": list(capabilities),
    }
