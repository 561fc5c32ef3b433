"""The asking side: bytes made once, bare protocols, and a check of every answer.

An answer is right where its status is 200, every token is in it, in order, as often as this server
tells it, and its end is the end that this server writes. Tokens are counted, not events: a server
may send together what came together.
"""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Self, cast

import msgspec

TOKEN = re.compile(rb"tok(\d+)")
PATIENCE_S = 120  # for one answer


class WrongAnswer(Exception):
    """What came is not what was asked for; a measure with one of these counts for nothing."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request, and how its answer is known to be right.

    tokens: how many the answer has.
    told: how often the answer has each of them (a stream may end with its whole text again).
    end: bytes that only a whole answer has.
    """

    data: bytes
    tokens: int
    told: int
    end: bytes

    def check(self, answer: bytes) -> None:
        """Raises WrongAnswer."""
        numbers = list(map(int, TOKEN.findall(answer)))
        if (
            not answer.startswith(b"HTTP/1.1 200 ")
            or self.end not in answer
            or numbers != list(range(self.tokens)) * self.told
        ):
            raise WrongAnswer(
                f"expected {self.told} x {self.tokens} tokens, got {len(numbers)}: "
                f"{answer[:200]!r} ... {answer[-200:]!r}"
            )


@dataclass(frozen=True, slots=True)
class Took:
    """Seconds from sending a request to its first token, and to its end."""

    first: float
    whole: float


@dataclass(frozen=True, slots=True)
class Load:
    """What users got in `seconds`, from the first request to the last answer."""

    took: tuple[Took, ...]
    seconds: float
    tokens: int

    @property
    def requests_s(self) -> float:
        return len(self.took) / self.seconds

    @property
    def tokens_s(self) -> float:
        return self.tokens / self.seconds


class Connection(asyncio.Protocol):
    """One connection that is kept. Close it with `close`."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._wanted = -1  # bytes of the whole answer; -1: in chunks, -2: not known yet
        self._first = 0.0
        self._done: asyncio.Future[None] | None = None
        self._first_token: asyncio.Future[None] | None = None

    @classmethod
    async def to(cls, port: int) -> Self:
        """Raises OSError where nobody listens."""
        loop = asyncio.get_running_loop()
        _, made = await loop.create_connection(cls, "127.0.0.1", port)
        return made

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # of TCP; uvloop has one of its own

    def connection_lost(self, exc: Exception | None) -> None:
        for waiting in (self._done, self._first_token):
            if waiting and not waiting.done():
                waiting.set_exception(WrongAnswer(f"cut off: {bytes(self._received[-200:])!r}"))

    def data_received(self, data: bytes) -> None:
        received = self._received
        received += data
        if not self._first and b"tok0" in received:
            self._first = time.perf_counter()
            if self._first_token and not self._first_token.done():
                self._first_token.set_result(None)
        if self._wanted == -2:
            self._wanted = _length(received)
        over = (
            received.endswith(b"\r\n0\r\n\r\n")
            if self._wanted == -1
            else len(received) >= self._wanted >= 0
        )
        if over and self._done and not self._done.done():
            self._done.set_result(None)

    async def ask(self, request: Request) -> Took:
        """Raises WrongAnswer, also where the server closes the connection."""
        began = self._send(request.data)
        async with asyncio.timeout(PATIENCE_S):
            await self._answered()
        over = time.perf_counter()
        answer = bytes(self._received)
        request.check(answer)
        return Took(self._first - began, over - began)

    @property
    def closing(self) -> bool:
        """Whether the last answer said that the server closes the connection after it."""
        head = bytes(self._received).partition(b"\r\n\r\n")[0].lower()
        return b"\r\nconnection: close" in head

    async def get(self, path: str, key: str = "") -> Any:
        """The JSON that a path answers with."""
        head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n\r\n"
        self._send(head.encode())
        async with asyncio.timeout(PATIENCE_S):
            await self._answered()
        return msgspec.json.decode(self._received.partition(b"\r\n\r\n")[2])

    async def leave(self, request: Request, after: float | None) -> float:
        """Ask, and close: after the first token, or after so many seconds. When that was, by
        `time.monotonic`."""
        self._first_token = asyncio.get_running_loop().create_future()
        self._send(request.data)
        if after is None:
            async with asyncio.timeout(PATIENCE_S):
                await self._first_token
        else:
            await asyncio.sleep(after)
            self._first_token.cancel()
        closed = time.monotonic()
        self._done = self._first_token = None  # nobody waits for the rest
        self._transport.abort()
        return closed

    def close(self) -> None:
        self._done = self._first_token = None
        self._transport.close()

    def _send(self, data: bytes) -> float:
        self._received.clear()
        self._wanted, self._first = -2, 0.0
        self._done = asyncio.get_running_loop().create_future()
        began = time.perf_counter()
        self._transport.write(data)
        return began

    async def _answered(self) -> None:
        assert self._done  # noqa: S101 - made by _send
        await self._done


def _length(received: bytearray) -> int:
    """Bytes of the whole answer; -1 where it comes in chunks, -2 while that is not known."""
    end = received.find(b"\r\n\r\n")
    if end < 0:
        return -2
    head = bytes(received[:end]).lower()
    _, found, rest = head.partition(b"\r\ncontent-length:")
    return end + 4 + int(rest.partition(b"\r\n")[0]) if found else -1


async def users(
    port: int, request: Request, count: int, *, seconds: float = 0, each: int = 0
) -> Load:
    """So many users, each asking again as soon as it is answered: for some seconds, or so many
    times.

    Raises:
        WrongAnswer: an answer is not right.
    """
    connections = [await Connection.to(port) for _ in range(count)]
    took: list[Took] = []
    began = time.perf_counter()

    async def user(connection: Connection) -> None:
        asked = 0
        while asked < each or time.perf_counter() - began < seconds:
            took.append(await connection.ask(request))
            asked += 1

    try:
        async with asyncio.TaskGroup() as group:
            for connection in connections:
                group.create_task(user(connection))
        spent = time.perf_counter() - began
    finally:
        for connection in connections:
            connection.close()
    return Load(tuple(took), spent, len(took) * request.tokens)


async def until(ready: Callable[[], Awaitable[bool]], seconds: float, pause: float) -> bool:
    """Ask again and again; whether it came true in time."""
    deadline = time.monotonic() + seconds
    while not await ready():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(pause)
    return True
