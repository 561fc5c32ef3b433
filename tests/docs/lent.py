"""An Ollama whose models can be downloaded and removed, and to which the embedded engine lends its
answers: what the documents say about models is run on it, with whatever name they give."""

import json
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Self
from urllib.parse import urlsplit

from app.models.catalog import BY_TAG

VERSION = "0.12.7"
LENDER = "embedded"
INSTALLED = (LENDER, "qwen3-vl:8b", "qwen3-vl:32b", "qwen3-vl:235b")


class Lent:
    """A daemon on a free loopback port; `engine` is where the embedded engine is."""

    def __init__(self, engine: str) -> None:
        self.engine = urlsplit(engine).netloc
        self.installed = set(INSTALLED)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def entries(self) -> list[dict[str, Any]]:
        """As in `/api/tags`."""
        return [
            {
                "name": name,
                "model": name,
                "modified_at": "2026-01-01T00:00:00Z",
                "size": BY_TAG[name].download_bytes if name in BY_TAG else 1_000_000,
                "digest": name.encode().hex().ljust(64, "0")[:64],
                "details": {"family": LENDER},
            }
            for name in sorted(self.installed)
        ]


def _handler(lent: Lent) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._json(200, {})

        def do_GET(self) -> None:
            answers: dict[str, dict[str, Any]] = {
                "/api/version": {"version": VERSION},
                "/api/tags": {"models": lent.entries()},
                "/api/ps": {"models": []},
            }
            told = answers.get(self.path)
            self._json(200 if told else 404, told or {"error": "not found"})

        def do_POST(self) -> None:
            asked = self._asked()
            name = str(asked.get("model") or asked.get("name"))
            if self.path == "/api/pull":
                self._pull(name)
            elif name not in lent.installed:
                self._json(404, {"error": f"model '{name}' not found"})
            elif self.path == "/api/generate":  # what `ollama rm` unloads the model with
                self._json(200, {"model": name, "response": "", "done": True})
            else:
                self._lend(name, asked)

        def do_DELETE(self) -> None:
            asked = self._asked()
            lent.installed.discard(str(asked.get("model") or asked.get("name")))
            self._json(200, {})

        def _asked(self) -> dict[str, Any]:
            asked: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            return asked

        def _pull(self, name: str) -> None:
            part = {"status": "pulling 1111", "digest": "sha256:" + "1" * 64, "total": 1000}
            self.send_response(200)
            self.end_headers()
            for line in (part, {**part, "completed": 1000}, {"status": "success"}):
                self.wfile.write(json.dumps(line).encode() + b"\n")
            lent.installed.add(name)

        def _lend(self, name: str, asked: dict[str, Any]) -> None:
            """The engine's own answer, a line as it comes, under the name that was asked for."""
            connection = HTTPConnection(lent.engine, timeout=120)
            connection.request("POST", self.path, json.dumps(asked | {"model": LENDER}))
            answer = connection.getresponse()
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.headers["Content-Type"])
            self.end_headers()
            while line := answer.readline():
                told = json.loads(line)
                if "model" in told:
                    told["model"] = name
                self.wfile.write(json.dumps(told).encode() + b"\n")
                self.wfile.flush()
            connection.close()

        def _json(self, status: int, body: dict[str, Any]) -> None:
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    return Handler
