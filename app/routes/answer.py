"""Writes the events of one answer as a response; a form encodes them (JSON, SSE, NDJSON, text).

When the client disconnects, the work is cancelled, which closes the connection to the engine. An
answer that is not streamed takes the same path; only its `done` event is encoded.
"""

import asyncio
import time

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.context import RequestContext
from app.engine.events import Work
from app.errors import Draining, Problem
from app.problems import internal_error, problem_format, problem_response
from app.routes.forms import Form
from app.tasks.events import Delta, Done, Event, Start

ENDED = "The server shut down before the answer was complete. Send the request again."
SILENCE_S = 15.0  # proxies close connections that are silent for longer


class AnswerResponse(Response):
    """Runs the work and writes its events in a form.

    A failure before the first byte is an error with its own HTTP status, also for a stream.
    """

    def __init__(self, work: Work[Event], form: Form, context: RequestContext) -> None:
        self.work = work
        self.form = form
        self.context = context
        self.background = None
        self.started = self.ended = self.said = self.left = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        writing = asyncio.current_task()
        assert writing is not None  # noqa: S101 - it is called in one
        pulse = _Pulse(self, send) if self.form.silence else None

        def leave(_: asyncio.Task[None]) -> None:
            """The client disconnected, which after the last byte is the normal end."""
            if not self.ended and not watching.cancelled():
                self.left = True
                writing.cancel()

        watching = asyncio.create_task(_gone(receive))
        watching.add_done_callback(leave)
        try:
            await self._write(scope, receive, send)
        except asyncio.CancelledError:
            if not self.left:  # the server shuts down, and its drain timeout has passed
                await self._fail(Draining(ENDED), scope, receive, send)
            elif writing.uncancel():  # cancelled from elsewhere, too
                raise
        finally:
            watching.cancel()
            if pulse:
                pulse.stop()

    async def _write(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.context.read_at = time.perf_counter()

        async def say(event: Event) -> None:
            self._note(event)
            if data := self.form.encode(event):
                over = isinstance(event, Done)  # sent together with the end of the body
                await self._send(send, data, self.form.headers(event), over)

        try:
            await self._taken_work()(say)
            if not self.ended:
                await self._send(send, b"", over=True)
        except Exception as error:  # any exception becomes an error response
            problem = (
                error if isinstance(error, Problem) else internal_error(self.context.request_id)
            )
            await self._fail(problem, scope, receive, send)

    def _taken_work(self) -> Work[Event]:
        """Hand the work over. No reference to it is kept: its arguments include the uploaded files,
        whose memory is free once they are decoded."""
        work = self.work
        del self.work
        return work

    async def _fail(self, problem: Problem, scope: Scope, receive: Receive, send: Send) -> None:
        """End the answer with a problem, in the form in which it began."""
        self.context.code = problem.code
        if self.started:
            body = problem_format(scope).body(problem, self.context.request_id)
            await self._send(send, self.form.encode_error(body), over=not self.form.breaks_off)
        else:
            self.ended = True
            await problem_response(problem, scope)(scope, receive, send)

    def _note(self, event: Event) -> None:
        """Record model, images and times of an event for logs and metrics."""
        context = self.context
        match event:
            case Start():
                context.model = event.model
                context.images = event.images
                context.prepared_at = time.perf_counter()
            case Delta() if not self.said:
                self.said = True
                context.first_text_at = time.perf_counter()
            case Done():
                context.answer = event.answer

    async def _send(
        self, send: Send, data: bytes, headers: dict[str, str] | None = None, over: bool = False
    ) -> None:
        """Send a piece. A response that fits in one piece is sent with Content-Length."""
        if self.ended:
            return
        self.ended = over
        if not self.started:
            self.started = True
            fields = {"content-type": self.form.media_type, **(headers or {})}
            if over:
                fields["content-length"] = str(len(data))
            raw = [(name.encode(), value.encode()) for name, value in fields.items()]
            await send({"type": "http.response.start", "status": 200, "headers": raw})
        await send({"type": "http.response.body", "body": data, "more_body": not over})

    async def beat(self, send: Send) -> None:
        """Send a keep-alive."""
        await self._send(send, self.form.silence)


class _Pulse:
    """Sends a keep-alive every `SILENCE_S`; a timer costs less than a task that sleeps."""

    def __init__(self, answer: AnswerResponse, send: Send) -> None:
        self._answer, self._send = answer, send
        self._beating: asyncio.Task[None] | None = None
        self._wait()

    def stop(self) -> None:
        self._timer.cancel()
        if self._beating:
            self._beating.cancel()

    def _wait(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(SILENCE_S, self._beat)

    def _beat(self) -> None:
        self._beating = asyncio.create_task(self._answer.beat(self._send))
        self._wait()


async def _gone(receive: Receive) -> None:
    """Return when the client has disconnected or has received the whole response."""
    while (await receive())["type"] != "http.disconnect":
        pass
