"""As much of Ollama's HTTP API as `download_model.sh` uses, to be told what to answer."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Self

MB = 1_000_000


class FakeOllama:
    """A server on a free loopback port.

    installed: model -> capabilities, for /api/show.
    pulls: for each call of /api/pull, the lines it answers; a call whose lines do not end with
        success is cut off without the end of the chunked body.
    """

    def __init__(self) -> None:
        self.version = "0.12.7"
        self.installed: dict[str, list[str]] = {}
        self.pulls: list[list[dict[str, Any]]] = []
        self.pulled: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def downloading(*completed: int, total: int = 1000 * MB) -> list[dict[str, Any]]:
    """The lines of a download that reached the given numbers of bytes."""
    digest = "sha256:" + "1" * 64
    status = {"status": "pulling 111111111111", "digest": digest, "total": total}
    return [{"status": "pulling manifest"}, *({**status, "completed": n} for n in completed)]


SUCCESS: list[dict[str, Any]] = [
    {"status": "verifying sha256 digest"},
    {"status": "writing manifest"},
    {"status": "success"},
]


def _handler(fake: FakeOllama) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._json(200, {"version": fake.version})

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            model = asked["model"]
            if self.path == "/api/pull":
                self._pull(model)
            elif model in fake.installed:
                self._json(200, {"capabilities": fake.installed[model]})
            else:
                self._json(404, {"error": f"model '{model}' not found"})

        def _pull(self, model: str) -> None:
            lines = fake.pulls[len(fake.pulled)]
            fake.pulled.append(model)
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for line in lines:
                data = json.dumps(line).encode() + b"\n"
                self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
            if lines[-1] == SUCCESS[-1]:
                fake.installed[model] = ["completion", "vision"]
            if lines[-1] == SUCCESS[-1] or "error" in lines[-1]:
                self.wfile.write(b"0\r\n\r\n")
            self.close_connection = True

        def _json(self, status: int, body: dict[str, Any]) -> None:
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    return Handler
