"""The wrapper that most would write: upload, base64, httpx, StreamingResponse.

OLLAMA=http://127.0.0.1:11434 uvicorn naive:app
"""

import base64
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import httpx
from fastapi import FastAPI, File, Form, UploadFile
from fastapi.responses import StreamingResponse


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """One client for the engine, as long as the server runs."""
    async with httpx.AsyncClient(base_url=os.environ["OLLAMA"], timeout=300) as client:
        app.state.http = client
        yield


app = FastAPI(lifespan=lifespan)


@app.get("/health")
async def health() -> dict[str, bool]:
    """200 while the process lives."""
    return {"ok": True}


@app.post("/v1/describe", response_model=None)
async def describe(
    image: Annotated[UploadFile, File()],
    prompt: Annotated[str, Form()] = "Describe this image.",
    stream: Annotated[bool, Form()] = False,
) -> StreamingResponse | dict[str, Any]:
    """Pass the picture on, and the answer back."""
    encoded = base64.b64encode(await image.read()).decode()
    messages = [{"role": "user", "content": prompt, "images": [encoded]}]
    body = {"model": os.environ["MODEL"], "stream": stream, "messages": messages}
    if not stream:
        answer = (await app.state.http.post("/api/chat", json=body)).json()
        return {"text": answer["message"]["content"], "tokens": answer["eval_count"]}

    async def events() -> AsyncIterator[str]:
        async with app.state.http.stream("POST", "/api/chat", json=body) as response:
            async for line in response.aiter_lines():
                chunk = json.loads(line)
                if chunk["done"]:
                    yield "data: [DONE]\n\n"
                else:
                    yield f"data: {json.dumps({'text': chunk['message']['content']})}\n\n"

    return StreamingResponse(events(), media_type="text/event-stream")
