"""A fake of this server's own API, for the client and the commands. It is no fake Ollama: that is
`tests.fake_ollama`."""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from hashlib import sha256
from typing import Any, Self

import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.polling import wait_until
from tests.ports import free_port

# The response to a request in place of an answer; None: the answer. The argument counts requests.
Refusal = Callable[[int], Response | None]


def problem(status: int, code: str, retry_after: str = "", **extra: Any) -> Response:
    """A problem object, as the server sends it."""
    body = {"status": status, "code": code, "detail": f"It says {code}.", **extra}
    headers = {"Retry-After": retry_after} if retry_after else {}
    return JSONResponse(body, status, headers, "application/problem+json")


class Fake:
    """A server in a thread. It answers a picture with the SHA-256 of its bytes.

    Attributes:
        refuse: the response to a request in place of an answer.
        delay_s: seconds that an answer takes.
        seen: how often each hash was answered.
        fields: of the last request.
        asked: how many requests came; `running`: that run now; `most`: that ran at once.
        left: set when a client has closed its connection before its answer.
    """

    def __init__(self, refuse: Refusal = lambda _: None, delay_s: float = 0.0) -> None:
        self.refuse, self.delay_s = refuse, delay_s
        self.seen: Counter[str] = Counter()
        self.fields: dict[str, Any] = {}
        self.asked = self.running = self.most = 0
        self.left = threading.Event()
        self.times: list[float] = []
        self.ready = True
        self.text = ""  # of every answer; empty: the hash
        self.slots: int | None = 4
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"

    async def task(self, request: Request) -> Response:
        self.asked += 1
        self.times.append(time.monotonic())
        if refused := self.refuse(self.asked):
            return refused
        if "json" in request.headers["content-type"]:
            self.fields = await request.json()
            images = [str(one).encode() for one in self.fields["image"]]
        else:
            async with request.form() as form:
                self.fields = {name: form.getlist(name) for name in form}
                images = [await part.read() for part in form.getlist("image")]  # type: ignore[union-attr]
        digest = sha256(b"".join(images)).hexdigest()
        return StreamingResponse(self._answer(digest, request), media_type="text/event-stream")

    async def _answer(self, digest: str, request: Request) -> AsyncIterator[bytes]:
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            yield event("queued", position=1, eta_ms=1000)
            await asyncio.sleep(self.delay_s / 2)
            yield event("start", id="1", task="ocr", model="fake", images=[{"tokens": 448}])
            await asyncio.sleep(self.delay_s / 2)
            text = self.text or digest
            yield event("delta", text=text)
            self.seen[digest] += 1
            task = request.path_params["task"]
            yield event("done", task=task, model="fake", text=text, warnings=[], images=[])
        except asyncio.CancelledError:
            self.left.set()
            raise
        finally:
            self.running -= 1

    async def status(self, _: Request) -> Response:
        return JSONResponse({"slots": {"total": self.slots, "running": self.running}})

    async def is_ready(self, _: Request) -> Response:
        return JSONResponse({}) if self.ready else problem(503, "engine_unavailable", "1")

    def __enter__(self) -> Self:
        routes = [
            Route("/v1/status", self.status),
            Route("/ready", self.is_ready),
            Route("/v1/{task}", self.task, methods=["POST"]),
        ]
        config = uvicorn.Config(Starlette(routes=routes), port=self.port, log_level="critical")
        config.timeout_graceful_shutdown = 1
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        wait_until(lambda: self._server.started)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(120)


def event(name: str, **data: Any) -> bytes:
    """One server-sent event."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), orjson.dumps(data))
