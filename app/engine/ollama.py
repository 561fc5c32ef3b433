"""The httpx client: Ollama's HTTP API, with every way it fails turned into a problem."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from app.engine.breaker import Breaker
from app.engine.chat import Chat, Lines
from app.engine.faults import BROKE, message_of, problem_of
from app.engine.transport import Transport
from app.errors import EngineError, EngineInterrupted, EngineUnavailable

# The status lines of a load or a long prompt come late: only connecting has a limit of its own
# here. The deadline of the whole request is kept by the caller.
TIMEOUT = httpx.Timeout(None, connect=5.0)
JSON = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
PATIENT = {"timeout": TIMEOUT.as_dict()}


class Ollama:
    """An Ollama daemon at one address. Close it with `aclose`."""

    def __init__(self, url: str, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self.url = url
        self.breaker = Breaker()
        # Made once: httpx takes three times as long to make them out of plain strings.
        self._chat_url = httpx.URL(f"{url}/api/chat")
        self._chat_fields = httpx.Request("GET", self._chat_url, headers=JSON).headers.raw
        self._transport = transport or Transport()
        self._http = httpx.AsyncClient(
            base_url=url, timeout=TIMEOUT, transport=self._transport, trust_env=False
        )

    async def aclose(self) -> None:
        await self._http.aclose()

    async def version(self) -> str:
        return str((await self._get("/api/version")).get("version", ""))

    async def tags(self) -> list[dict[str, Any]]:
        """The installed models; `name` carries its tag (`qwen3-vl:32b`, `mine:latest`)."""
        return list((await self._get("/api/tags")).get("models") or [])

    async def ps(self) -> list[dict[str, Any]]:
        """The loaded models, those still loading included (findings: no readiness check)."""
        return list((await self._get("/api/ps")).get("models") or [])

    async def show(self, model: str) -> dict[str, Any]:
        """Details of one model.

        Raises:
            ModelNotFound: it is not installed.
        """
        with self._reaching():
            response = await self._http.post("/api/show", json={"model": model}, timeout=10)
        return self._object(response, model)

    async def chat(self, chat: Chat) -> Lines:
        """One generation, as soon as it begins to answer. Close it with `aclose`.

        Raises:
            Problem: as `problem_of` reads the daemon's error.
        """
        body = chat.body()
        fields = [*self._chat_fields, (b"Content-Length", b"%d" % len(body))]
        stream = httpx.ByteStream(body)
        request = httpx.Request(
            "POST", self._chat_url, headers=fields, stream=stream, extensions=PATIENT
        )
        with self._reaching():
            # The transport itself: what the client adds (cookies, redirects, hooks, decoding) is
            # not wanted here, and takes as long as all the rest of the request.
            response = await self._transport.handle_async_request(request)
            if response.status_code != 200:
                try:
                    await response.aread()
                finally:
                    await response.aclose()
                self._object(response, chat.model)
        self.breaker.answered()
        return Lines(response, chat.model)

    async def _get(self, path: str) -> dict[str, Any]:
        with self._reaching():
            response = await self._http.get(path, timeout=10)
        return self._object(response, "")

    def _object(self, response: httpx.Response, model: str) -> dict[str, Any]:
        self.breaker.answered()
        try:
            body = response.json()
        except ValueError:
            body = None
        if response.status_code != 200:
            error = body.get("error") if isinstance(body, dict) else None
            status = response.status_code
            told = message_of(error) or f"HTTP {status} without a reason"
            raise problem_of(told, status, model)
        if not isinstance(body, dict):
            raise EngineError(f"What answers at {self.url} does not speak Ollama's API.")
        return body

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        """Turns what the network does into problems, and tells the breaker."""
        try:
            yield
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise self._unreached(
                f"No engine answers at {self.url}. Start it (`ollama serve` or "
                "`python -m app.embedded`) or set OLLAMA_HOST."
            ) from error
        except httpx.TimeoutException as error:
            raise self._unreached(f"The engine at {self.url} did not answer in time.") from error
        except httpx.TransportError as error:
            raise EngineInterrupted(BROKE, partial="") from error

    def _unreached(self, reason: str) -> EngineUnavailable:
        self.breaker.failed(reason)
        return EngineUnavailable(reason)
