#!/usr/bin/env python3
"""Ask a running server about the pictures beside this file: a client with nothing to install.

    python examples/try.py [--server http://127.0.0.1:8000]

An API key is taken from the environment variable API_KEY.
"""

import argparse
import os
import sys
import uuid
from http.client import IncompleteRead
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

HERE = Path(__file__).parent
QUESTIONS = [
    ("What is in the photo?", "describe", "photo.jpg", {}),
    ("Read the receipt.", "ocr", "receipt_ko.png", {}),
    ("Read the table.", "ocr", "table.png", {}),
    ("합계는 얼마인가요?", "vqa", "receipt_ko.png", {"question": "합계는 얼마인가요?"}),
]


def form(image: Path, fields: dict[str, str]) -> tuple[bytes, str]:
    """A multipart/form-data body and its content type."""
    boundary = uuid.uuid4().hex
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    parts += [
        f'--{boundary}\r\nContent-Disposition: form-data; name="image"; filename="{image.name}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n".encode(),
        image.read_bytes(),
        f"\r\n--{boundary}--\r\n".encode(),
    ]
    return b"".join(parts), f"multipart/form-data; boundary={boundary}"


def ask(server: str, task: str, image: Path, fields: dict[str, str]) -> None:
    """Print the answer as it comes. Text is the simplest stream; JSON and SSE exist, too."""
    body, content_type = form(image, {"stream": "true", **fields})
    request = Request(f"{server}/v1/{task}", body)  # noqa: S310 - the user's own server
    request.add_header("Content-Type", content_type)
    request.add_header("Accept", "text/plain")
    if key := os.environ.get("API_KEY"):
        request.add_header("Authorization", f"Bearer {key}")
    with urlopen(request, timeout=300) as answer:  # noqa: S310
        while piece := answer.read1(4096):
            sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()


def main() -> None:
    """Ask every question; end with 1 and a sentence at the first that fails."""
    parser = argparse.ArgumentParser(description="Ask a running server about the examples.")
    parser.add_argument(
        "--server", default=os.environ.get("SERVER_URL", "http://127.0.0.1:8000"), help="its URL"
    )
    server = parser.parse_args().server.rstrip("/")
    for title, task, picture, fields in QUESTIONS:
        print(f"\n== {title}  ({task}, examples/{picture})", flush=True)
        try:
            ask(server, task, HERE / picture, fields)
        except HTTPError as error:  # the server says what is wrong, as problem+json
            sys.exit(f"The server answered {error.code}: {error.read().decode()}")
        except (URLError, ConnectionResetError, TimeoutError) as error:
            sys.exit(f"No answer from {server}: {error}. Is it running? ./run_server.sh")
        except IncompleteRead:
            sys.exit("The answer broke off; its last line says why.")


if __name__ == "__main__":
    main()
