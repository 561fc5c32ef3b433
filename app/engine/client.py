"""The client of Ollama's HTTP API. It maps every failure to a problem."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from app.engine.breaker import CircuitBreaker
from app.engine.chat import Chat, ChunkStream
from app.engine.error_mapping import CONNECTION_LOST, error_message, map_error
from app.engine.transport import EngineTransport
from app.errors import EngineError, EngineInterrupted, EngineUnavailable

# Loading a model or reading a long prompt delays the status line, so that only connecting has a
# timeout here. The caller enforces the deadline of the request.
TIMEOUT = httpx.Timeout(None, connect=5.0)
JSON_HEADERS = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
NO_READ_TIMEOUT = {"timeout": TIMEOUT.as_dict()}


class OllamaClient:
    """Client of the Ollama daemon at `url`. Close it with `aclose`."""

    def __init__(self, url: str, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self.url = url
        self.breaker = CircuitBreaker()
        # Built once: building them from strings takes httpx three times as long.
        self._chat_url = httpx.URL(f"{url}/api/chat")
        self._chat_fields = httpx.Request("GET", self._chat_url, headers=JSON_HEADERS).headers.raw
        self._transport = transport or EngineTransport()
        self._http = httpx.AsyncClient(
            base_url=url, timeout=TIMEOUT, transport=self._transport, trust_env=False
        )

    async def aclose(self) -> None:
        await self._http.aclose()

    async def version(self) -> str:
        return str((await self._get("/api/version")).get("version", ""))

    async def tags(self) -> list[dict[str, Any]]:
        """The installed models. `name` includes the tag (`qwen3-vl:32b`, `mine:latest`)."""
        return list((await self._get("/api/tags")).get("models") or [])

    async def ps(self) -> list[dict[str, Any]]:
        """The loaded models, including those that still load: no proof that a model is ready
        (docs/OLLAMA_FACTS.md)."""
        return list((await self._get("/api/ps")).get("models") or [])

    async def show(self, model: str) -> dict[str, Any]:
        """Details of one model.

        Raises:
            ModelNotFound: the model is not installed.
            Problem: the daemon is unreachable or reported another error.
        """
        with self._map_transport_errors():
            response = await self._http.post("/api/show", json={"model": model}, timeout=10)
        return self._parse_object(response, model)

    async def chat(self, chat: Chat) -> ChunkStream:
        """Start a generation. Returns when the response begins. Close it with `aclose`.

        Raises:
            EngineUnavailable: the engine is unreachable.
            EngineInterrupted: the connection was lost.
            Problem: the daemon reported an error, mapped by `map_error`.
        """
        body = chat.to_json()
        fields = [*self._chat_fields, (b"Content-Length", b"%d" % len(body))]
        stream = httpx.ByteStream(body)
        request = httpx.Request(
            "POST", self._chat_url, headers=fields, stream=stream, extensions=NO_READ_TIMEOUT
        )
        with self._map_transport_errors():
            # The transport is called directly: the client's cookies, redirects, hooks and decoding
            # are not needed here and take as long as the rest of the request.
            response = await self._transport.handle_async_request(request)
            if response.status_code != 200:
                try:
                    await response.aread()
                finally:
                    await response.aclose()
                self._parse_object(response, chat.model)
        self.breaker.record_success()
        return ChunkStream(response, chat.model)

    async def _get(self, path: str) -> dict[str, Any]:
        with self._map_transport_errors():
            response = await self._http.get(path, timeout=10)
        return self._parse_object(response, "")

    def _parse_object(self, response: httpx.Response, model: str) -> dict[str, Any]:
        self.breaker.record_success()
        try:
            body = response.json()
        except ValueError:
            body = None
        if response.status_code != 200:
            error = body.get("error") if isinstance(body, dict) else None
            status = response.status_code
            message = error_message(error) or f"HTTP {status} without a reason"
            raise map_error(message, status, model)
        if not isinstance(body, dict):
            raise EngineError(f"The server at {self.url} does not speak Ollama's API.")
        return body

    @contextmanager
    def _map_transport_errors(self) -> Iterator[None]:
        """Map network errors to problems, and report failed connections to the breaker."""
        try:
            yield
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise self._unreachable(
                f"No engine answers at {self.url}. Start it (`ollama serve` or "
                "`python -m app.embedded`) or set OLLAMA_HOST."
            ) from error
        except httpx.TimeoutException as error:
            raise self._unreachable(f"The engine at {self.url} did not answer in time.") from error
        except httpx.TransportError as error:
            raise EngineInterrupted(CONNECTION_LOST, partial="") from error

    def _unreachable(self, reason: str) -> EngineUnavailable:
        self.breaker.record_failure(reason)
        return EngineUnavailable(reason)
