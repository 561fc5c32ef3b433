"""`langchain-openai`, as a program: says as JSON what it got.

with_langchain.py BASE_URL MODEL IMAGE
"""

import base64
import json
import sys
from pathlib import Path
from typing import Any, Literal

from langchain_core.messages import HumanMessage, SystemMessage
from langchain_openai import ChatOpenAI
from pydantic import BaseModel

URL, MODEL, IMAGE = sys.argv[1:]
DATA = base64.b64encode(Path(IMAGE).read_bytes()).decode()


class Seen(BaseModel):
    """What is seen."""

    colour: Literal["red", "blue"]
    count: int


def main() -> None:
    how: dict[str, Any] = {"base_url": URL, "api_key": "none", "model": MODEL, "temperature": 0}
    model = ChatOpenAI(**how, max_tokens=12)
    shown = {"type": "image", "source_type": "base64", "mime_type": "image/jpeg", "data": DATA}
    asked = [
        SystemMessage("Be short."),
        HumanMessage([{"type": "text", "text": "What is it?"}, shown]),
    ]
    answer = model.invoke(asked)
    pieces = list(model.stream(asked))
    longer = ChatOpenAI(**how, max_tokens=100)
    seen = longer.with_structured_output(Seen, method="json_schema").invoke(asked)
    told = {
        "text": answer.text,
        "tokens": answer.usage_metadata,
        "streamed": "".join(piece.text for piece in pieces),
        "pieces": len(pieces),
        "parsed": isinstance(seen, Seen),
    }
    print(json.dumps(told))


main()
