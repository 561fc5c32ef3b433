"""The `openai` package before LiteLLM's proxy, as a program: says as JSON what it got.

through_litellm.py BASE_URL MODEL IMAGE
"""

import base64
import json
import sys
from pathlib import Path
from typing import Any

import openai

URL, MODEL, IMAGE = sys.argv[1:]
DATA = "data:image/jpeg;base64," + base64.b64encode(Path(IMAGE).read_bytes()).decode()
SCHEMA = {"type": "object", "properties": {"colour": {"enum": ["red", "blue"]}}}
FORM = {"name": "seen", "schema": {**SCHEMA, "required": ["colour"]}}


def main() -> None:
    client = openai.OpenAI(base_url=URL, api_key="none", max_retries=0)
    content = [
        {"type": "text", "text": "What is it?"},
        {"type": "image_url", "image_url": {"url": DATA}},
    ]
    asked: dict[str, Any] = {
        "model": MODEL,
        "messages": [{"role": "user", "content": content}],
        "temperature": 0,
    }
    ask = client.chat.completions.create
    answer = ask(**asked, max_tokens=12)
    pieces = [
        chunk.choices[0].delta.content or ""
        for chunk in ask(**asked, max_tokens=12, stream=True)
        if chunk.choices
    ]
    held = ask(
        **asked, max_tokens=100, response_format={"type": "json_schema", "json_schema": FORM}
    )
    told: dict[str, Any] = {
        "text": answer.choices[0].message.content,
        "streamed": "".join(pieces),
        "held": json.loads(held.choices[0].message.content or ""),
    }
    try:
        ask(**asked, logprobs=True)
    except openai.APIStatusError as error:
        told["refused"] = error.status_code
    print(json.dumps(told))


main()
