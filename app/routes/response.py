"""Writes the events of one answer as a response; an encoder turns each into bytes.

When the client disconnects, the pipeline is cancelled, which closes the connection to the engine.
An answer that is not streamed takes the same path; only its `done` event is encoded.
"""

import asyncio
import time

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.context import RequestContext
from app.engine.events import EventSource
from app.errors import Draining, Problem
from app.pipeline.events import Delta, Done, Event, Start
from app.problems import internal_error, problem_format, problem_response
from app.routes.encoders import Encoder

SHUTDOWN_DETAIL = "The server shut down before the answer was complete. Send the request again."
KEEP_ALIVE_INTERVAL_S = 15.0  # proxies close connections that are silent for longer


class AnswerResponse(Response):
    """Runs an event source (a request in the pipeline) and sends its events, encoded, as they come.

    The response starts with the first bytes, those of an event or of a keep-alive. A failure before
    them is an error with its own HTTP status, also for a stream.
    """

    def __init__(
        self, source: EventSource[Event], encoder: Encoder, context: RequestContext
    ) -> None:
        self.source = source
        self.encoder = encoder
        self.context = context
        self.background = None
        self.started = self.finished = self.text_sent = self.disconnected = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - it is called in one
        keep_alive = _KeepAlive(self, send) if self.encoder.keep_alive else None

        def on_disconnect(_: asyncio.Task[None]) -> None:
            """The client disconnected, which after the last byte is the normal end."""
            if not self.finished and not disconnect_task.cancelled():
                self.disconnected = True
                task.cancel()

        disconnect_task = asyncio.create_task(_wait_for_disconnect(receive))
        disconnect_task.add_done_callback(on_disconnect)
        try:
            await self._write(scope, receive, send)
        except asyncio.CancelledError:
            if not self.disconnected:  # the server shuts down, and its drain timeout has passed
                await self._fail(Draining(SHUTDOWN_DETAIL), scope, receive, send)
            elif task.uncancel():  # cancelled from elsewhere, too
                raise
        finally:
            disconnect_task.cancel()
            if keep_alive:
                keep_alive.stop()

    async def _write(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.context.read_at = time.perf_counter()

        async def emit(event: Event) -> None:
            self._record_event(event)
            if data := self.encoder.encode(event):
                last = isinstance(event, Done)  # sent together with the end of the body
                await self._send(send, data, self.encoder.headers(event), last)

        try:
            await self._take_source()(emit)
            if not self.finished:
                await self._send(send, b"", last=True)
        except Exception as error:  # any exception becomes an error response
            problem = (
                error if isinstance(error, Problem) else internal_error(self.context.request_id)
            )
            await self._fail(problem, scope, receive, send)

    def _take_source(self) -> EventSource[Event]:
        """Hand the source over. No reference to it is kept: its arguments include the uploaded
        files, whose memory is free once they are decoded."""
        source = self.source
        del self.source
        return source

    async def _fail(self, problem: Problem, scope: Scope, receive: Receive, send: Send) -> None:
        """End the answer with a problem, in the format in which it began."""
        self.context.code = problem.code
        if self.started:
            body = problem_format(scope).body(problem, self.context.request_id)
            await self._send(
                send, self.encoder.encode_error(body), last=not self.encoder.aborts_on_error
            )
        else:
            self.finished = True
            await problem_response(problem, scope)(scope, receive, send)

    def _record_event(self, event: Event) -> None:
        """Record model, images and times of an event for logs and metrics."""
        context = self.context
        match event:
            case Start():
                context.model = event.model
                context.images = event.images
                context.prepared_at = time.perf_counter()
            case Delta() if not self.text_sent:
                self.text_sent = True
                context.first_text_at = time.perf_counter()
            case Done():
                context.answer = event.answer

    async def _send(
        self, send: Send, data: bytes, headers: dict[str, str] | None = None, last: bool = False
    ) -> None:
        """Send a piece. A response that fits in one piece is sent with Content-Length."""
        if self.finished:
            return
        self.finished = last
        if not self.started:
            self.started = True
            fields = {"content-type": self.encoder.media_type, **(headers or {})}
            if last:
                fields["content-length"] = str(len(data))
            raw = [(name.encode(), value.encode()) for name, value in fields.items()]
            await send({"type": "http.response.start", "status": 200, "headers": raw})
        await send({"type": "http.response.body", "body": data, "more_body": not last})

    async def send_keep_alive(self, send: Send) -> None:
        """Send a keep-alive."""
        await self._send(send, self.encoder.keep_alive)


class _KeepAlive:
    """Sends a keep-alive every `KEEP_ALIVE_INTERVAL_S`. A timer costs less than a sleeping task."""

    def __init__(self, answer: AnswerResponse, send: Send) -> None:
        self._answer, self._send = answer, send
        self._sending: asyncio.Task[None] | None = None
        self._schedule()

    def stop(self) -> None:
        self._timer.cancel()
        if self._sending:
            self._sending.cancel()

    def _schedule(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(KEEP_ALIVE_INTERVAL_S, self._fire)

    def _fire(self) -> None:
        self._sending = asyncio.create_task(self._answer.send_keep_alive(self._send))
        self._schedule()


async def _wait_for_disconnect(receive: Receive) -> None:
    """Return when the client has disconnected or has received the whole response."""
    while (await receive())["type"] != "http.disconnect":
        pass
