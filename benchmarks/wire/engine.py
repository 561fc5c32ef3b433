"""A fake Ollama for Ollama that costs next to nothing: `python -m benchmarks.wire.engine PORT`.

The whole body of a chat is read and parsed, its pictures with it. Since every wrapper passes the
prompt on, a tag in it says what is answered: `[[n=64 delay=2 first=10]]` are 64 tokens, 2 ms apart,
the first after 10 ms. Token number i is ` tok<i>`, one line, one write and one turn of the loop.

`GET /__stats` tells what came so far, see `Stats`.

This is not the fake Ollama of the tests, because it is on the timed path. A chat of 64 tokens costs
it 0.46 ms of CPU, and the other one 0.63; with a photo of 960 kB it is 2.2 and 2.7 ms. A wrapper
takes about 1.4 ms. The other one also closes the connection after each chat, to learn whether the
client has left, so that a wrapper would be measured with a new connection for each request.
"""

import asyncio
import functools
import re
import sys
import time
from binascii import a2b_base64
from typing import cast

import msgspec
import orjson
import uvloop

MODEL = "qwen3-vl:8b-instruct"  # of those that answer at once: no thinking to be kept in hand
VERSION = "0.12.7"
CELL = 32  # pixels a side of what the model spends a token on
NEVER = "2026-01-01T00:00:00.000000000Z"
# Of no family for which Ollama runs one request at a time: the wire is measured, not the queue.
FAMILY = "many-slots"
DETAILS = {"format": "gguf", "family": FAMILY, "families": [FAMILY], "parameter_size": "8.8B"}
ENTRY = {
    "name": MODEL,
    "model": MODEL,
    "modified_at": NEVER,
    "size": 6_100_000_000,
    "digest": "0" * 64,
    "details": DETAILS,
}
ANSWERS = {
    b"/api/version": {"version": VERSION},
    b"/api/tags": {"models": [ENTRY]},
    b"/api/ps": {"models": [{**ENTRY, "expires_at": NEVER, "size_vram": ENTRY["size"]}]},
    b"/api/show": {
        "details": DETAILS,
        "model_info": {"general.architecture": "qwen3vl", "qwen3vl.context_length": 262_144},
        "capabilities": ["completion", "vision"],
    },
}
STREAM = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"
)
TAG = re.compile(r"\[\[([^\]]*)\]\]")


class _Message(msgspec.Struct):
    content: str = ""
    images: list[str] = []


class _Chat(msgspec.Struct):
    messages: list[_Message]
    stream: bool = True


class Stats(msgspec.Struct):
    """What came since the engine was started.

    aborted: when a client left before its answer was over (`time.monotonic`, in seconds, which is
    one clock for all processes), the last of them.
    image_tokens: by the plain rule, a token a cell, without the upper bound of real engines: what
    the picture costs as it was sent.
    """

    chats: int = 0
    body_bytes: int = 0
    images: int = 0
    image_bytes: int = 0
    image_tokens: int = 0
    aborts: int = 0
    aborted: float = 0.0


_read = msgspec.json.Decoder(_Chat).decode


def plan(chat: _Chat) -> tuple[int, float, float]:
    """Tokens of the answer, seconds between two, seconds before the first."""
    said = {"n": 64.0, "delay": 0.0, "first": 0.0}
    for message in chat.messages:
        if tag := TAG.search(message.content):
            said |= {name: float(value) for name, value in re.findall(r"(\w+)=([\d.]+)", tag[1])}
    return int(said["n"]), said["delay"] / 1e3, said["first"] / 1e3


def image_tokens(image: str) -> int:
    """What a JPEG costs as it is.

    Raises:
        ValueError: it is none.
    """
    head = a2b_base64(image[:8192])
    place = 2
    while head[place : place + 1] == b"\xff":
        kind, length = head[place + 1], int.from_bytes(head[place + 2 : place + 4])
        if kind in (0xC0, 0xC1, 0xC2):  # start of frame: sequential, extended, progressive
            sides = (head[place + 7 : place + 9], head[place + 5 : place + 7])
            width, height = (max(1, round(int.from_bytes(side) / CELL)) for side in sides)
            return width * height
        place += 2 + length
    raise ValueError("the picture is no JPEG, or its header is long")


@functools.cache
def token_line(number: int) -> bytes:
    """One token, as a chunk of the response."""
    content = f" tok{number}"
    message = {"role": "assistant", "content": content}
    line = {"model": MODEL, "created_at": NEVER, "message": message, "done": False}
    return _chunk(orjson.dumps(line) + b"\n")


@functools.lru_cache
def last_line(tokens: int, prompt: int, text: str) -> bytes:
    """The counts of an answer, with its text where it is not streamed."""
    line = {
        "model": MODEL,
        "created_at": NEVER,
        "message": {"role": "assistant", "content": text},
        "done": True,
        "done_reason": "stop",
        "total_duration": tokens * 1000 + 3000,
        "load_duration": 1000,
        "prompt_eval_count": prompt,
        "prompt_eval_duration": 1000,
        "eval_count": tokens,
        "eval_duration": tokens * 1000,
    }
    return orjson.dumps(line) + b"\n"


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _whole(body: bytes, status: bytes = b"200 OK") -> bytes:
    head = b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
    return head % (status, len(body), body)


class Connection(asyncio.Protocol):
    """One client. Requests are answered one after another."""

    def __init__(self, stats: Stats) -> None:
        self.stats = stats
        self.received = bytearray()
        self.head: tuple[bytes, int] | None = None  # path, bytes of the body (-1: in chunks)
        self.answer: asyncio.Task[None] | None = None
        self.flowing = asyncio.Event()
        self.flowing.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # of TCP; uvloop has one of its own

    def connection_lost(self, exc: Exception | None) -> None:
        if self.answer:
            self.stats.aborts += 1
            self.stats.aborted = time.monotonic()
            self.answer.cancel()

    def pause_writing(self) -> None:
        self.flowing.clear()

    def resume_writing(self) -> None:
        self.flowing.set()

    def data_received(self, data: bytes) -> None:
        self.received += data
        self._go_on()

    def _go_on(self) -> None:
        """Answer what has wholly come."""
        while not self.answer:
            if self.head is None:
                end = self.received.find(b"\r\n\r\n")
                if end < 0:
                    return
                self.head = _head(bytes(self.received[:end]))
                del self.received[: end + 4]
            path, length = self.head
            body = self._chunks() if length < 0 else self._body(length)
            if body is None:
                return
            self.head = None
            self._answer(path, body)

    def _body(self, length: int) -> bytes | None:
        if len(self.received) < length:
            return None
        body = bytes(memoryview(self.received)[:length])
        del self.received[:length]
        return body

    def _chunks(self) -> bytes | None:
        if not self.received.endswith(b"\r\n0\r\n\r\n"):
            return None
        parts: list[bytes] = []
        place = 0
        while True:
            end = self.received.index(b"\r\n", place)
            length = int(self.received[place:end], 16)
            if not length:
                self.received.clear()
                return b"".join(parts)
            parts.append(bytes(self.received[end + 2 : end + 2 + length]))
            place = end + 2 + length + 2

    def _answer(self, path: bytes, body: bytes) -> None:
        if path == b"/__stats":
            self.transport.write(_whole(msgspec.json.encode(self.stats)))
        elif path in ANSWERS:
            self.transport.write(_whole(orjson.dumps(ANSWERS[path])))
        elif path == b"/api/chat":
            try:
                self._chat(body)
            except (msgspec.MsgspecError, ValueError) as error:
                problem = orjson.dumps({"error": str(error)})
                self.transport.write(_whole(problem, b"400 Bad Request"))
        else:
            self.transport.write(_whole(b'{"error":"not found"}', b"404 Not Found"))

    def _chat(self, body: bytes) -> None:
        chat = _read(body)
        images = [image for message in chat.messages for image in message.images]
        cost = sum(map(image_tokens, images))
        self.stats.chats += 1
        self.stats.body_bytes += len(body)
        self.stats.images += len(images)
        self.stats.image_bytes += sum(map(len, images)) * 3 // 4
        self.stats.image_tokens += cost
        tokens, delay, first = plan(chat)
        play = self._stream if chat.stream else self._at_once
        self.answer = asyncio.ensure_future(play(tokens, delay, first, cost + 100))

    async def _at_once(self, tokens: int, delay: float, first: float, prompt: int) -> None:
        if seconds := first + delay * max(0, tokens - 1):
            await asyncio.sleep(seconds)
        text = "".join(f" tok{number}" for number in range(tokens))
        self.transport.write(_whole(last_line(tokens, prompt, text)))
        self._over()

    async def _stream(self, tokens: int, delay: float, first: float, prompt: int) -> None:
        """Paced by the clock, not by sleeping: what one token is late, the next is not."""
        began = time.monotonic() + first
        if first:
            await asyncio.sleep(first)
        self.transport.write(STREAM)
        for number in range(tokens):
            if number:
                await asyncio.sleep(max(0.0, began + number * delay - time.monotonic()))
            await self.flowing.wait()
            self.transport.write(token_line(number))
        self.transport.write(_chunk(last_line(tokens, prompt, "")) + b"0\r\n\r\n")
        self._over()

    def _over(self) -> None:
        self.answer = None
        self._go_on()


def _head(head: bytes) -> tuple[bytes, int]:
    """The path, and the length of the body: -1 for one in chunks."""
    first, *lines = head.split(b"\r\n")
    path = first.split(b" ")[1].partition(b"?")[0]
    fields = {
        name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)
    }
    if fields.get(b"transfer-encoding", b"").lower() == b"chunked":
        return path, -1
    return path, int(fields.get(b"content-length", 0))


async def serve(port: int) -> None:
    """Until the process is ended."""
    stats = Stats()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(stats), "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
