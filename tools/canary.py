"""Draw the pictures of the canary (`app.pipeline.canary`): `python -m tools.canary`.

They are carried as files, so that the server need not load a library to draw them.
"""

from PIL import Image, ImageDraw, ImageFont

from app.images.orientation import ORIENTATION_TAG
from app.pipeline.canary import PICTURES_DIR

SIZE = (640, 480)
LYING = 6  # EXIF: to be turned by a quarter


def main() -> None:
    """Write the three pictures."""
    for digits, lying in (("4807", True), ("615", False), ("392", False)):
        image = Image.new("RGB", SIZE, "white")
        font = ImageFont.load_default(200)
        ImageDraw.Draw(image).text((320, 240), digits, "black", font, anchor="mm")
        exif = Image.Exif()
        if lying:
            exif[ORIENTATION_TAG] = LYING
            image = image.transpose(Image.Transpose.ROTATE_90)
        image.save(PICTURES_DIR / f"{digits}.jpg", "JPEG", quality=90, exif=exif)


if __name__ == "__main__":
    main()
