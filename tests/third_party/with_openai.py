"""The `openai` package, as a program: says as JSON what it got.

with_openai.py BASE_URL MODEL IMAGE
"""

import asyncio
import base64
import json
import sys
from enum import Enum
from pathlib import Path
from typing import Any

import openai
from pydantic import BaseModel

URL, MODEL, IMAGE = sys.argv[1:]
DATA = "data:image/jpeg;base64," + base64.b64encode(Path(IMAGE).read_bytes()).decode()
SHOWN = {"type": "image_url", "image_url": {"url": DATA, "detail": "low"}}
ASKED: list[Any] = [
    {"role": "system", "content": "Be short."},
    {"role": "user", "content": [{"type": "text", "text": "What is it?"}, SHOWN]},
]
SETTINGS: dict[str, Any] = {"model": MODEL, "messages": ASKED, "max_tokens": 12, "temperature": 0}


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Seen(BaseModel):
    colour: Colour
    count: int


def whole(client: openai.OpenAI) -> dict[str, Any]:
    answer = client.chat.completions.create(**SETTINGS)
    turns = [*ASKED, {"role": "assistant", "content": answer.choices[0].message.content}]
    turns.append({"role": "user", "content": [{"type": "text", "text": "And this?"}, SHOWN]})
    second = client.chat.completions.create(**{**SETTINGS, "messages": turns})
    last = (answer.choices[0].message.content or "").split()[-1]
    stopped = client.chat.completions.create(**SETTINGS, stop=[last], seed=-5)
    return {
        "text": answer.choices[0].message.content,
        "finish": answer.choices[0].finish_reason,
        "usage": answer.usage.model_dump() if answer.usage else None,
        "model": answer.model,
        "second_images": len(second.vlm["images"]),
        "stopped": stopped.choices[0].message.content,
    }


def streamed(client: openai.OpenAI) -> dict[str, Any]:
    chunks = list(
        client.chat.completions.create(
            **SETTINGS, stream=True, stream_options={"include_usage": True}
        )
    )
    spoken = [chunk for chunk in chunks if chunk.choices]
    return {
        "roles": [chunk.choices[0].delta.role for chunk in spoken],
        "text": "".join(chunk.choices[0].delta.content or "" for chunk in spoken),
        "finishes": [chunk.choices[0].finish_reason for chunk in spoken],
        "usages": [chunk.usage is not None for chunk in chunks],
        "ids": len({chunk.id for chunk in chunks}),
    }


async def asynchronous() -> dict[str, Any]:
    async with openai.AsyncOpenAI(base_url=URL, api_key="none") as client:
        answer = await client.chat.completions.create(**SETTINGS)
        stream = await client.chat.completions.create(**SETTINGS, stream=True)
        pieces = [chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices]
    return {"text": answer.choices[0].message.content, "streamed": "".join(pieces)}


def parsed(client: openai.OpenAI) -> dict[str, Any]:
    settings = {**SETTINGS, "max_tokens": 100}
    answer = client.chat.completions.parse(**settings, response_format=Seen)
    with client.chat.completions.stream(**settings, response_format=Seen) as stream:
        for _ in stream:
            pass
        final = stream.get_final_completion()
    as_json = client.chat.completions.create(**settings, response_format={"type": "json_object"})
    seen, again = answer.choices[0].message.parsed, final.choices[0].message.parsed
    return {
        "parsed": isinstance(seen, Seen),
        "streamed": isinstance(again, Seen),
        "object": isinstance(json.loads(as_json.choices[0].message.content or ""), dict),
    }


def refused(client: openai.OpenAI) -> dict[str, list[Any]]:
    broken = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x!"}}]}]
    cases: dict[str, dict[str, Any]] = {
        "model": {"model": "gpt-4o"},
        "image": {"messages": broken},
        "tools": {"tools": [{"type": "function", "function": {"name": "f"}}]},
        "temperature": {"temperature": 9},
        "long": {"max_tokens": 10, "messages": [{"role": "user", "content": "word " * 9000}]},
    }
    told = {}
    for name, change in cases.items():
        for stream in (False, True):
            try:
                client.chat.completions.create(**{**SETTINGS, **change}, stream=stream)
            except openai.APIStatusError as error:
                told[f"{name} {stream}"] = [type(error).__name__, error.code, error.param]
    return told


def main() -> None:
    client = openai.OpenAI(base_url=URL, api_key="none", max_retries=0)
    told = {
        "whole": whole(client),
        "streamed": streamed(client),
        "async": asyncio.run(asynchronous()),
        "parsed": parsed(client),
        "refused": refused(client),
        "models": [model.id for model in client.models.list()],
        "model": client.models.retrieve(MODEL).id,
    }
    print(json.dumps(told))


main()
