"""What is measured: the engine itself, LiteLLM, the wrapper that most would write, and this server.

Each is one process on one loopback port, in front of the same engine. The peers have environments
of their own in `.cache/`, made from the lists in `needs/`.
"""

import base64
import hashlib
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import orjson

from benchmarks.wire.client import Request
from benchmarks.wire.engine import MODEL
from tests.background_server import BackgroundServer, answers
from tests.ports import free_port

HERE = Path(__file__).parent
REPO = HERE.parents[1]
KEY = "key-of-the-benchmark"
EDGE = "------------------------qVJ3kfEhcZx0aSJ1XBr2wp"  # as curl makes them
LITELLM = f"""\
model_list:
  - model_name: {MODEL}
    litellm_params:
      model: ollama_chat/{MODEL}
      api_base: ENGINE
      api_key: none
      keep_alive: 5m
    model_info: {{supports_vision: true, mode: chat}}
general_settings: {{master_key: {KEY}}}
litellm_settings: {{num_retries: 0, request_timeout: 300, telemetry: false, drop_params: true}}
"""


@dataclass(frozen=True, slots=True)
class Answered:
    """What the answer is to be: so many tokens, so far apart, streamed or not."""

    stream: bool
    tokens: int = 64
    delay_ms: float = 0
    first_ms: float = 0

    @property
    def prompt(self) -> str:
        tag = f"[[n={self.tokens} delay={self.delay_ms} first={self.first_ms}]]"
        return f"{tag} Describe this image."


def direct(image: bytes, how: Answered) -> Request:
    """Ollama's own chat."""
    picture = base64.b64encode(image).decode()
    message = {"role": "user", "content": how.prompt, "images": [picture]}
    body = {"model": MODEL, "stream": how.stream, "messages": [message]}
    return _json("/api/chat", body, how.tokens, 1, b'"done":true')


def litellm(image: bytes, how: Answered) -> Request:
    """OpenAI's chat completions."""
    url = f"data:image/jpeg;base64,{base64.b64encode(image).decode()}"
    content = [
        {"type": "text", "text": how.prompt},
        {"type": "image_url", "image_url": {"url": url}},
    ]
    messages = [{"role": "user", "content": content}]
    body = {"model": MODEL, "stream": how.stream, "messages": messages}
    end = b"data: [DONE]" if how.stream else b'"finish_reason":"stop"'
    return _json("/v1/chat/completions", body, how.tokens, 1, end)


def naive(image: bytes, how: Answered) -> Request:
    """A request to the plain wrapper."""
    return _form(image, how, 1, b"data: [DONE]" if how.stream else b'"tokens":')


def ours(image: bytes, how: Answered) -> Request:
    """A stream ends with the whole answer again."""
    return _form(image, how, 1 + how.stream, b'"finish_reason":"stop"')


def _json(path: str, body: object, tokens: int, told: int, end: bytes) -> Request:
    data = orjson.dumps(body)
    return Request(_head(path, "application/json", len(data)) + data, tokens, told, end)


def _form(image: bytes, how: Answered, told: int, end: bytes) -> Request:
    fields = {"prompt": how.prompt, "stream": str(how.stream).lower()}
    parts = [
        f'--{EDGE}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    file = 'form-data; name="image"; filename="image.jpg"\r\nContent-Type: image/jpeg'
    parts.append(f"--{EDGE}\r\nContent-Disposition: {file}\r\n\r\n".encode() + image)
    data = b"".join(parts) + f"\r\n--{EDGE}--\r\n".encode()
    head = _head("/v1/describe", f"multipart/form-data; boundary={EDGE}", len(data))
    return Request(head + data, how.tokens, told, end)


def _head(path: str, kind: str, length: int) -> bytes:
    return (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {KEY}\r\n"
        f"Cache-Control: no-store\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n"
    ).encode()


MAKERS = {"direct": direct, "litellm": litellm, "naive": naive, "ours": ours}


class Target(BackgroundServer):
    """A process that is measured. Use it as a context."""

    def __init__(self, name: str, engine_port: int) -> None:
        self.name, self.engine_port, self.port = name, engine_port, free_port()
        self.folder = tempfile.TemporaryDirectory()
        super().__init__(
            [],  # known when it is started: a peer may have to be installed
            Path(self.folder.name) / "log",
            ready=answers(f"http://127.0.0.1:{self.port}/health/liveliness"),
            environment={},
        )

    def request(self, image: bytes, how: Answered) -> Request:
        return MAKERS[self.name](image, how)

    @property
    def pid(self) -> int:
        return self.process.pid

    def start(self) -> None:
        self.command, settings = self._command()
        self.environment = {"PATH": os.environ["PATH"], "HOME": self.folder.name, **settings}
        super().start()

    def stop(self) -> None:
        super().stop()
        self.folder.cleanup()

    def _command(self) -> tuple[list[str], dict[str, str]]:
        engine, port = f"http://127.0.0.1:{self.engine_port}", str(self.port)
        if self.name == "direct":
            return [sys.executable, "-m", "benchmarks.wire.engine", port], {}
        if self.name == "naive":
            uvicorn = [str(python("naive")), "-m", "uvicorn", "naive:app", "--app-dir", str(HERE)]
            quiet = ["--port", port, "--log-level", "warning"]
            return [*uvicorn, *quiet], {"OLLAMA": engine, "MODEL": MODEL}
        if self.name == "litellm":
            config = Path(self.folder.name) / "litellm.yaml"
            config.write_text(LITELLM.replace("ENGINE", engine))
            program = [str(python("litellm").with_name("litellm")), "--config", str(config)]
            where = ["--host", "127.0.0.1", "--port", port]
            mode = {"LITELLM_MODE": "PRODUCTION", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
            return [*program, *where], {**mode, "NO_PROXY": "*"}
        return [sys.executable, "-m", "benchmarks.wire.heartbeat"], {
            "PORT": port,
            "OLLAMA_HOST": engine,
            "MODEL_NAME": MODEL,
            "API_KEYS": KEY,
            "NUM_CTX": "16384",
            "NUM_PARALLEL": "512",  # the gate is set wide
            "MAX_QUEUE": "1024",
            "RATE_LIMIT": "1000000/second",
            "LOG_FORMAT": "json",
        }


def python(peer: str) -> Path:
    """The interpreter of a peer's environment, which is made where it is not there."""
    needs = HERE / "needs" / f"{peer}.txt"
    digest = hashlib.sha256(needs.read_bytes()).hexdigest()[:8]
    home = REPO / ".cache" / f"wire-{peer}-{digest}"
    done = home / "done"
    if not done.exists():
        uv = [sys.executable, "-m", "uv"]
        subprocess.run([*uv, "venv", "--quiet", "--clear", str(home)], check=True)  # noqa: S603
        install = [*uv, "pip", "install", "--quiet", "--python", str(home), "-r", str(needs)]
        subprocess.run(install, check=True)  # noqa: S603
        done.touch()
    return home / "bin" / "python"
