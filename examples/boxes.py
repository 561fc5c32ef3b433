#!/usr/bin/env python3
"""Find things in a picture, and draw their boxes on it: in the server's Python environment.

    python examples/boxes.py PICTURE LABEL [LABEL ...] [--out boxes.png] [--server URL]

Boxes come in pixels of the upright original, so the picture is turned upright before it is drawn
on. An API key is taken from the environment variable API_KEY.
"""

import argparse
import os
import sys
from pathlib import Path
from typing import Any

import httpx
from PIL import Image, ImageColor, ImageDraw, ImageFont, ImageOps

# Pillow's own font has no Hangul; these are what systems call one that does.
FONTS = ("NotoSansCJK-Regular.ttc", "NanumGothic.ttf", "AppleSDGothicNeo.ttc", "malgun.ttf")
COLOURS = ("#e6194b", "#3cb44b", "#4363d8", "#f58231", "#911eb4", "#008080")


def detect(server: str, picture: Path, labels: list[str]) -> dict[str, Any]:
    """The server's answer. Ends the program where there is none."""
    key = os.environ.get("API_KEY")
    try:
        answer = httpx.post(
            f"{server}/v1/detect",
            files={"image": picture.read_bytes()},
            data={"labels": labels},
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=300,
            trust_env=False,
        )
    except (OSError, httpx.TransportError) as error:
        sys.exit(f"{picture} was not asked about at {server}: {error}")
    told: dict[str, Any] = answer.json()
    if answer.is_error:
        sys.exit(told["detail"])
    return told


def font_of(size: int) -> Any:
    """The first font that is installed, else Pillow's own."""
    for name in FONTS:
        try:
            return ImageFont.truetype(name, size)
        except OSError:
            continue
    return ImageFont.load_default(size)


def draw(image: Image.Image, objects: list[dict[str, Any]], labels: list[str]) -> None:
    """A frame a box, its label above; one colour a label."""
    width = max(2, round(max(image.size) / 400))
    font = font_of(max(12, max(image.size) // 50))
    pen = ImageDraw.Draw(image)
    for one in objects:
        colour = ImageColor.getrgb(COLOURS[labels.index(one["label"]) % len(COLOURS)])
        left, top, right, bottom = one["box"]
        pen.rectangle((left, top, right, bottom), outline=colour, width=width)
        room = pen.textbbox((left, top), one["label"], font=font, anchor="lb")
        if room[1] < 0:  # no room above
            room = pen.textbbox((left, top), one["label"], font=font, anchor="lt")
        pen.rectangle(room, fill=colour)
        pen.text(room[:2], one["label"], fill="white", font=font, anchor="lt")


def main() -> None:
    """Ask the server, and draw a box and a label for each object."""
    parser = argparse.ArgumentParser(description="Draw the boxes of what is found in a picture.")
    parser.add_argument("picture", type=Path)
    parser.add_argument("labels", nargs="+")
    parser.add_argument("--out", type=Path, default=Path("boxes.png"))
    parser.add_argument("--server", default="http://127.0.0.1:8000")
    asked = parser.parse_args()
    told = detect(asked.server, asked.picture, asked.labels)
    image = ImageOps.exif_transpose(Image.open(asked.picture)).convert("RGB")
    draw(image, told["objects"], asked.labels)
    image.save(asked.out)
    for one in told["objects"]:
        print(one["label"], *one["box"])
    print(f"{len(told['objects'])} boxes on {asked.out}", *told["warnings"], sep="\n")


if __name__ == "__main__":
    main()
