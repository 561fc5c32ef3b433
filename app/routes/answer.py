"""One stream of events, written in one loop; a form (JSON, SSE, NDJSON, text) says how.

A client who leaves ends the work: the events are closed, and with them the connection to the
engine. The whole of an answer that is not streamed comes by the same way, as its `done` alone.
"""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.engine.events import Delta, Done, Event, Start
from app.errors import InternalError, Problem
from app.logs import log
from app.routes.forms import Form
from app.routes.problems import problem_response

SILENCE_S = 15.0  # proxies close what is silent for longer


class AnswerResponse(Response):
    """Consumes the events and writes them in a form.

    What fails before anything was written is an error with its own HTTP status, also where a
    stream was asked for.
    """

    def __init__(self, events: AsyncGenerator[Event, None], form: Form, request_id: str) -> None:
        self.events = events
        self.form = form
        self.request_id = request_id
        self.started = False
        self.background = None
        self.said = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        work = asyncio.create_task(self._write(scope, receive, send))
        others = [asyncio.create_task(_gone(receive)), asyncio.create_task(self._pulse(send))]
        try:
            await asyncio.wait((work, *others), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (work, *others):
                task.cancel()
            await asyncio.gather(work, *others, return_exceptions=True)
        if not work.cancelled():
            work.result()

    async def _write(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"]["read_at"] = time.perf_counter()
        try:
            async with aclosing(self.events) as events:
                async for event in events:
                    self._note(event, scope)
                    if data := self.form.encode(event):
                        await self._send(send, data, self.form.headers(event))
            await send({"type": "http.response.body", "body": b""})
        except Exception as error:  # whatever it is, the client is told
            problem = error
            if not isinstance(problem, Problem):
                log.exception("a bug ended the request", request_id=self.request_id)
                problem = InternalError("A fault in this server ended the request.")
            scope["state"]["code"] = problem.code
            if self.started:
                await self._send(send, self.form.encode_error(problem.body(self.request_id)))
                if not self.form.breaks_off:
                    await send({"type": "http.response.body", "body": b""})
            else:
                await problem_response(problem, scope)(scope, receive, send)

    def _note(self, event: Event, scope: Scope) -> None:
        """What the log and the metrics want to know of an answer on its way."""
        state = scope["state"]
        match event:
            case Start():
                state["model"] = event.model
                state["images"] = event.images
                state["prepared_at"] = time.perf_counter()
            case Delta() if not self.said:
                self.said = True
                state["first_text_at"] = time.perf_counter()
            case Done():
                state["answer"] = event.answer

    async def _send(self, send: Send, data: bytes, headers: dict[str, str] | None = None) -> None:
        if not self.started:
            self.started = True
            fields = {"content-type": self.form.media_type, **(headers or {})}
            raw = [(name.encode(), value.encode()) for name, value in fields.items()]
            await send({"type": "http.response.start", "status": 200, "headers": raw})
        await send({"type": "http.response.body", "body": data, "more_body": True})

    async def _pulse(self, send: Send) -> None:
        """Breaks a silent wait, in forms that have something to break it with; never ends."""
        while True:
            await asyncio.sleep(SILENCE_S)
            if self.form.silence:
                await self._send(send, self.form.silence)


async def _gone(receive: Receive) -> None:
    """Returns when the client has left."""
    while (await receive())["type"] != "http.disconnect":
        pass
