"""`ollama serve` on the machine of the deployment tests: the embedded engine, which reads, with
`/api/pull` in front. Its model is there once it has been pulled.

A pull leaves a file in OLLAMA_MODELS, where Ollama keeps its own, and a line in the file PULLS.
"""

import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import uvicorn
from fastapi import FastAPI, Request, Response

from app.embedded.api import routes as server
from app.embedded.api.ollama_host import parse_ollama_host

BLOB = Path(os.environ["OLLAMA_MODELS"]) / "blobs" / "sha256-0"


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    async with server.lifespan(server.app):
        yield


front = FastAPI(lifespan=lifespan)


@front.post("/api/pull")
def pull() -> Response:
    BLOB.parent.mkdir(parents=True, exist_ok=True)
    BLOB.touch()
    with Path(os.environ["PULLS"]).open("a") as pulls:
        pulls.write("one\n")
    return Response('{"status": "pulling manifest"}\n{"status": "success"}\n')


@front.post("/api/show")
async def show(request: Request) -> Response:
    if not BLOB.exists():
        return Response(json.dumps({"error": "model 'embedded' not found"}), 404)
    return await server.show(request)


front.mount("/", server.app)

if __name__ == "__main__":
    assert sys.argv[1:] == ["serve"]
    where = parse_ollama_host(os.environ["OLLAMA_HOST"])
    uvicorn.run(front, host=where.host, port=where.port, log_level="warning")
