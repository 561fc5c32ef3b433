"""Chat requests with images, as the server sends them."""

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

EXAMPLES = Path(__file__).parents[2] / "examples"
READ = "Transcribe all text in this image, exactly as it is written."


def chat(text: str, *images: bytes, **more: Any) -> dict[str, Any]:
    """The body of a chat request. `more` are additional fields."""
    encoded = [base64.b64encode(image).decode() for image in images]
    message = {"role": "user", "content": text, "images": encoded}
    return {"model": "embedded", "messages": [message], **more}


def example(name: str) -> bytes:
    return (EXAMPLES / name).read_bytes()


def pixels(name: str) -> NDArray[np.uint8]:
    """An example as (height, width, 3) BGR."""
    image = Image.open(EXAMPLES / name).convert("RGB")
    return np.ascontiguousarray(np.asarray(image)[:, :, ::-1])


def truth(name: str) -> list[str]:
    """The text of an example, line by line, with single spaces."""
    return [" ".join(line.split()) for line in (EXAMPLES / name).read_text().splitlines()]


def blank(width: int = 64, height: int = 64, image_format: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, height), "white").save(file, image_format)
    return file.getvalue()
