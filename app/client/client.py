"""Asks a server, over HTTP; what goes wrong is a ServerProblem."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from types import TracebackType
from typing import Any, Self

import httpx

from app.client.events import Event, read_events
from app.client.problem import ServerProblem, connection_broken, problem_from, server_unreachable
from app.client.request_body import Image, request_arguments

# A wait of the server is broken by a comment every 15 s: who is silent for four of them is gone.
READ_TIMEOUT_S = 60.0
TIMEOUT = httpx.Timeout(READ_TIMEOUT_S, connect=5.0, pool=None)
LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=64)


def normalize_url(text: str) -> str:
    """A server's URL as people write it: without a scheme, with a slash at the end."""
    text = text.strip().rstrip("/")
    return text if "://" in text else f"http://{text}"


class Client:
    """One server. Use it in `async with`; any number of requests may be under way at once.

    Leaving a stream, or cancelling a request, closes its connection, and the server lets go of
    the model. What is asked is here or next door: never through a proxy.

    Args:
        fresh: no answer may come from the server's cache, nor go into it.
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

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._http.aclose()

    async def ask(
        self, task: str, images: Sequence[Image], fields: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The whole answer of a task (`describe`, `ocr`, `vqa`, `extract`, `detect`).

        It is asked for as a stream, which is never silent for long: however long the queue is,
        a server that is gone is noticed within `SILENCE_S`.

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
        """The events of an answer as they come; the last one is `done`. Close it when leaving.

        Raises:
            ServerProblem: there is no answer, or it broke off.
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
        """Raises ServerProblem where a request would not be answered now."""
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
        """Turns what the network does into problems."""
        try:
            yield
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise server_unreachable(self.url, _reason(error)) from error
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise server_unreachable(self.url, f"not an HTTP URL: {error}") from error
        except (httpx.HTTPError, ValueError) as error:
            raise connection_broken(self.url, _reason(error)) from error


def _reason(error: Exception) -> str:
    """In a few words."""
    match error:
        case httpx.ConnectTimeout():
            return "no response within 5 s"
        case httpx.ReadTimeout():
            return f"no data for {READ_TIMEOUT_S:g} s"
        case ValueError():
            return "the response is not from this server"
        case httpx.ConnectError():
            return str(error).removeprefix("All connection attempts failed")  # says nothing
        case _:
            return str(error) or type(error).__name__
