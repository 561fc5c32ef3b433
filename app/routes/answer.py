"""One stream of events, written as they are said; a form (JSON, SSE, NDJSON, text) says how.

A client who leaves ends the work: it is cancelled, and with it the connection to the engine. The
whole of an answer that is not streamed comes by the same way, as its `done` alone.
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

ENDED = "This server ended before the answer was done. Ask again, or another one."
SILENCE_S = 15.0  # proxies close what is silent for longer


class AnswerResponse(Response):
    """Has the work done and writes what it says in a form.

    What fails before anything was written is an error with its own HTTP status, also where a
    stream was asked for.
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
            """The client has left; once all is written, that is as it should be."""
            if not self.ended and not watching.cancelled():
                self.left = True
                writing.cancel()

        watching = asyncio.create_task(_gone(receive))
        watching.add_done_callback(leave)
        try:
            await self._write(scope, receive, send)
        except asyncio.CancelledError:
            if not self.left:  # the server ends, and has waited as long as it may
                await self._fail(Draining(ENDED), scope, receive, send)
            elif writing.uncancel():  # ended from elsewhere, too
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
                over = isinstance(event, Done)  # and goes out with what ends the answer
                await self._send(send, data, self.form.headers(event), over)

        try:
            await self._taken_work()(say)
            if not self.ended:
                await self._send(send, b"", over=True)
        except Exception as error:  # whatever it is, the client is told
            problem = (
                error if isinstance(error, Problem) else internal_error(self.context.request_id)
            )
            await self._fail(problem, scope, receive, send)

    def _taken_work(self) -> Work[Event]:
        """The work, which is done once. No reference to it is kept: among its arguments are the
        files of the request, whose memory is free once they are decoded."""
        work = self.work
        del self.work
        return work

    async def _fail(self, problem: Problem, scope: Scope, receive: Receive, send: Send) -> None:
        """The answer ends with a problem, in the form that it has begun in."""
        self.context.code = problem.code
        if self.started:
            body = problem_format(scope).body(problem, self.context.request_id)
            await self._send(send, self.form.encode_error(body), over=not self.form.breaks_off)
        else:
            self.ended = True
            await problem_response(problem, scope)(scope, receive, send)

    def _note(self, event: Event) -> None:
        """What the log and the metrics want to know of an answer on its way."""
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
        """What is `over` with its first piece has a length."""
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
        """Break a silence."""
        await self._send(send, self.form.silence)


class _Pulse:
    """Breaks a silent wait every 15 s; a timer, which costs less than a task that sleeps."""

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
    """Returns when the client has left, or has the whole answer."""
    while (await receive())["type"] != "http.disconnect":
        pass
