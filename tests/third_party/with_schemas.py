"""The `openai` package against an engine that answers as it is told: says as JSON what it got.

with_schemas.py BASE_URL MODEL IMAGE        the engine: wrong, right, wrong from then on
"""

import base64
import json
import sys
from pathlib import Path
from typing import Any

import openai
from pydantic import BaseModel

URL, MODEL, IMAGE = sys.argv[1:]
DATA = "data:image/jpeg;base64," + base64.b64encode(Path(IMAGE).read_bytes()).decode()


class Thing(BaseModel):
    label: str
    bbox_2d: tuple[int, int, int, int]


class Things(BaseModel):
    things: list[Thing]


def main() -> None:
    client = openai.OpenAI(base_url=URL, api_key="none", max_retries=0)
    shown = {"type": "image_url", "image_url": {"url": DATA}}
    asked: Any = [
        {"role": "user", "content": [{"type": "text", "text": "Where is the cup?"}, shown]}
    ]
    answer = client.chat.completions.parse(model=MODEL, messages=asked, response_format=Things)
    found = answer.choices[0].message.parsed
    told: dict[str, Any] = {"found": found and found.model_dump(), "refused": [], "said": ""}
    try:
        client.chat.completions.parse(model=MODEL, messages=asked, response_format=Things)
    except openai.APIStatusError as error:
        told["refused"].append([type(error).__name__, error.code])
    try:
        with client.chat.completions.stream(
            model=MODEL, messages=asked, response_format=Things
        ) as stream:
            for event in stream:
                if event.type == "content.delta":
                    told["said"] += event.delta
    except openai.APIError as error:
        told["refused"].append([type(error).__name__, error.code])
    print(json.dumps(told))


main()
