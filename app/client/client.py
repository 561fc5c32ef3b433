"""The HTTP client. Errors are raised as ServerProblem."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any, Self

import httpx

from app.client.events import Event, read_events
from app.client.problem import ServerProblem, connection_broken, problem_from, server_unreachable
from app.client.request_body import Image, request_arguments

# The server sends a comment every 15 s while a request waits, so 60 s of silence mean it is gone.
READ_TIMEOUT_S = 60.0
TIMEOUT = httpx.Timeout(READ_TIMEOUT_S, connect=5.0, pool=None)
LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=64)


def normalize_url(text: str) -> str:
    """Add a missing scheme and remove a trailing slash."""
    text = text.strip().rstrip("/")
    return text if "://" in text else f"http://{text}"


class Client:
    """A client of one server. Use it in `async with`; requests may run concurrently.

    Leaving a stream or cancelling a request closes its connection, and the server stops the model.
    Proxy settings of the environment are ignored, because the server is local.

    Args:
        bypass_cache: do not use the server's answer cache (`Cache-Control: no-store`).
    """

    def __init__(self, url: str, api_key: str = "", *, bypass_cache: bool = False) -> None:
        self.url = normalize_url(url)
        # Bytes: httpx takes only ASCII in a string.
        headers = [(b"Authorization", f"Bearer {api_key}".encode())] if api_key else []
        if bypass_cache:
            headers.append((b"Cache-Control", b"no-store"))
        self._http = httpx.AsyncClient(
            base_url=self.url, headers=headers, timeout=TIMEOUT, limits=LIMITS, trust_env=False
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def ask(
        self, task: str, images: Sequence[Image], fields: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The complete answer of a task (`describe`, `ocr`, `vqa`, `extract`, `detect`).

        The request is a stream, whose comments show that the server is alive: a server that is gone
        is noticed within `READ_TIMEOUT_S`, however long the queue is.

        Raises:
            ServerProblem: there is no answer.
            OSError: a file cannot be read.
        """
        async with aclosing(self.stream(task, images, fields)) as stream:
            async for event in stream:
                if event.name == "done":
                    return event.data
        raise AssertionError("a stream ends with done or a problem")

    async def stream(
        self, task: str, images: Sequence[Image], fields: Mapping[str, Any]
    ) -> AsyncGenerator[Event, None]:
        """Stream the events of an answer; the last one is `done`. Close the generator when leaving.

        Raises:
            ServerProblem: there is no answer, or the connection was lost.
            OSError: a file cannot be read.
        """
        request = request_arguments(images, {**fields, "stream": True})
        async with (
            self._translate_errors(),
            self._http.stream("POST", f"/v1/{task}", **request) as answer,
        ):
            if answer.status_code != 200:
                await answer.aread()
                raise problem_from(answer)
            async with aclosing(read_events(answer.aiter_bytes())) as stream_events:
                async for event in stream_events:
                    if event.name == "error":
                        raise ServerProblem(event.data)
                    yield event
                    if event.name == "done":
                        return
        raise connection_broken(self.url, "the stream ended early")

    async def status(self, model: str | None = None) -> dict[str, Any]:
        """What runs there, as `/v1/status` tells it, of a model (default: the server's own).
        Raises ServerProblem."""
        return await self._get("/v1/status", {"model": model} if model else {})

    async def ready(self) -> None:
        """Raises ServerProblem if the server is not ready."""
        await self._get("/ready")

    async def _get(self, path: str, query: Mapping[str, str] | None = None) -> dict[str, Any]:
        async with self._translate_errors():
            answer = await self._http.get(path, params=query, timeout=15)
            if answer.status_code != 200:
                raise problem_from(answer)
            content = answer.json()
        return content if isinstance(content, dict) else {}

    @asynccontextmanager
    async def _translate_errors(self) -> AsyncIterator[None]:
        """Translate httpx errors into ServerProblem."""
        try:
            yield
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise server_unreachable(self.url, _reason(error)) from error
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise server_unreachable(self.url, f"not an HTTP URL: {error}") from error
        except (httpx.HTTPError, ValueError) as error:
            raise connection_broken(self.url, _reason(error)) from error


def _reason(error: Exception) -> str:
    """A short description of an error."""
    match error:
        case httpx.ConnectTimeout():
            return "no response within 5 s"
        case httpx.ReadTimeout():
            return f"no data for {READ_TIMEOUT_S:g} s"
        case ValueError():
            return "the response is not from this server"
        case httpx.ConnectError():
            return str(error).removeprefix("All connection attempts failed")  # not informative
        case _:
            return str(error) or type(error).__name__
