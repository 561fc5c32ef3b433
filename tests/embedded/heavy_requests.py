"""Requests that keep the engine busy for many seconds, and how busy its process is."""

import contextlib
import io
import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from PIL import Image, ImageDraw, ImageFont


def costly_photo() -> bytes:
    """A JPEG of 50 megapixels of noise, which takes seconds in one native call."""
    tile = np.random.default_rng(3).integers(0, 255, (250, 8000, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(np.tile(tile, (25, 1, 1))).save(file, "JPEG", quality=5)
    return file.getvalue()


@contextlib.contextmanager
def unread_request(url: str, body: dict[str, Any]) -> Iterator[None]:
    """Sends a request, reads no response, and disconnects at the end."""
    port = httpx.URL(url).port
    assert port is not None
    content = json.dumps(body).encode()
    head = f"POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(content)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=120) as client:
        client.sendall(head.encode() + content)
        yield


def cpu_s(process: "subprocess.Popen[str]") -> float:
    """CPU time of a process, in seconds."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wait_for_cpu_time(process: "subprocess.Popen[str]", until_s: float) -> None:
    """Waits until the process has used so much CPU time."""
    deadline = time.monotonic() + 120
    while cpu_s(process) < until_s:
        assert time.monotonic() < deadline, "the process does not work"
        time.sleep(0.02)


def dense_page() -> bytes:
    """An image of about 990 words, of which the engine reads 600."""
    image = Image.new("L", (1264, 1264), "white")
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(7)
    for top in range(0, 1264, 9):
        for left in range(0, 1264, 30):
            draw.text((left, top), "abc", fill_schema="black", font=font)
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()
