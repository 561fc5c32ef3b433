"""What is seen on real photos, and what is said to questions about them."""

import re
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest
import zxingcpp

from app.embedded.answers import vqa
from app.embedded.answers.messages import ENGLISH, KOREAN, Phrases
from app.embedded.images.decode import Picture, decode
from app.embedded.images.pixels import Pixels
from app.embedded.models import Models
from app.embedded.vision import image_facts as facts
from app.embedded.vision import image_type as kind
from app.embedded.vision.barcodes import Code
from app.embedded.vision.image_classifier import Guess
from app.embedded.vision.image_facts import Facts
from app.embedded.vision.image_type import Kind
from app.embedded.vision.object_detector import CLAIMED, Thing
from tests.embedded.pictures import EXAMPLES
from tests.embedded.skimage_data import picture

PHOTOS = Path(__file__).with_name("photos")


def known(models: Models, path: Path) -> Facts:
    return facts.gather(decode(path.read_bytes()), models.readers, models.sight, threading.Event())


def scores(found: Facts) -> dict[str, float]:
    every: list[Thing | Guess] = [*found.seen.things, *found.seen.guesses]
    return {one.label: max(o.score for o in every if o.label == one.label) for one in every}


@pytest.fixture(scope="session")
def cat(models: Models) -> Facts:
    return known(models, PHOTOS / "cat.jpg")


@pytest.fixture(scope="session")
def person(models: Models) -> Facts:
    return known(models, PHOTOS / "person.jpg")


@pytest.fixture(scope="session")
def coffee(models: Models) -> Facts:
    return known(models, EXAMPLES / "photo.jpg")


def test_photos_are_named(cat: Facts, person: Facts, coffee: Facts) -> None:
    named = ((cat, "cat"), (person, "person"), (coffee, "espresso"))
    for found, label in named:
        assert found.verdict.kinds == (Kind.PHOTO,)
        assert scores(found)[label] >= CLAIMED


def test_motorcycle(models: Models) -> None:
    found = known(models, picture("motorcycle_left.png"))
    assert scores(found)["motorcycle"] >= CLAIMED


def test_a_wrong_detection_is_not_claimed(models: Models) -> None:
    """The detector takes an eye's ground for a bed, at 0.58."""
    found = known(models, picture("retina.jpg"))
    assert scores(found)["bed"] < CLAIMED


def test_box(person: Facts) -> None:
    (thing,) = [thing for thing in person.seen.things if thing.label == "person"]
    left, top, right, bottom = thing.box
    assert 0 <= left < 100
    assert 0 <= top < 100
    assert 300 < right <= 512
    assert 450 < bottom <= 512


def reply(question: str, found: Facts, phrases: Phrases = ENGLISH) -> str | None:
    said = vqa.reply(question, found, [], phrases)
    return None if said is None else f"{said.text} | {said.basis}"


@pytest.mark.parametrize(
    ("question", "pattern"),
    [
        ("Is there a cat?", r"Yes, by detection: cat 0\.\d\d\. \| Basis: "),
        ("How many cats are there?", r"1 cat detected \| Basis: detector, cat 0\.\d\d"),
        ("Is there a dog?", r"The detector is not sure of any dog; .* \| $"),
        ("What animal is this?", r".*cat 0\.\d\d"),
        ("What kind of image is this?", r"This looks like a photo"),
        ("What colours are in the picture?", r"Main colours: brown \d+%"),
        ("What colour is the cat?", r"brown \d+%.*\| Basis: the colours in the middle of the"),
        ("Is it blurry?", r"It has sharp edges"),
        ("What does the QR code contain?", r"No QR code or barcode could be read"),
    ],
)
def test_answers_with_their_basis(cat: Facts, question: str, pattern: str) -> None:
    said = reply(question, cat)
    assert said is not None
    assert re.match(pattern, said)


@pytest.mark.parametrize(
    ("question", "pattern"),
    [
        ("고양이가 있나요?", r"네, 탐지되었습니다: 고양이 0\.\d\d\. \| 근거: 탐지기"),
        ("고양이는 몇 마리인가요?", r"탐지된 고양이: 1 \|"),
        ("이게 뭐야?", r".*고양이 0\.\d\d"),
        ("무슨 종류의 이미지인가요?", r"이 그림은 사진인 것 같습니다"),
        ("이 사진의 주요 색은?", r"주요 색: 갈색 \d+%"),
    ],
)
def test_answers_in_korean(cat: Facts, question: str, pattern: str) -> None:
    said = reply(question, cat, KOREAN)
    assert said is not None
    assert re.match(pattern, said)


@pytest.mark.parametrize(
    "question",
    [
        "Is the cat happy?",
        "What is the cat's name?",
        "Is there a cat on the sofa?",
        "How many cats are asleep?",
        "What colour are the cat's eyes?",
        "Is there a unicorn?",
        "Who is this?",
        "Where was this taken?",
        "고양이가 자고 있나요?",
        "고양이는 왜 화가 났나요?",
    ],
)
def test_more_than_the_facts_hold(cat: Facts, question: str) -> None:
    assert reply(question, cat) is None


def test_below_the_threshold_is_no_yes(coffee: Facts) -> None:
    said = reply("Is there a dining table?", coffee)
    assert said is not None
    assert said.startswith("The detector is not sure of any dining table")
    assert re.search(r"below its threshold of 0\.60: dining table 0\.[45]\d", said)


def test_codes(models: Models) -> None:
    code = zxingcpp.create_barcode("https://example.org/42", zxingcpp.BarcodeFormat.QRCode)
    drawn = np.asarray(zxingcpp.write_barcode_to_image(code, scale=6), dtype=np.uint8)
    page = cv2.copyMakeBorder(drawn, 60, 60, 60, 60, cv2.BORDER_CONSTANT, value=255)
    found = gather(models, np.asarray(cv2.cvtColor(page, cv2.COLOR_GRAY2BGR), dtype=np.uint8))
    assert found.codes == (Code("QR Code", "https://example.org/42"),)
    said = vqa.reply("What does the code contain?", found, [], ENGLISH)
    assert said is not None
    assert said.text == "QR Code: “https://example.org/42”"


def gather(models: Models, pixels: Pixels) -> Facts:
    return facts.gather(Picture(pixels), models.readers, models.sight, threading.Event())


def test_blank(models: Models) -> None:
    found = gather(models, np.full((200, 300, 3), 255, dtype=np.uint8))
    assert found.verdict.kinds == (Kind.BLANK,)
    assert [(colour.english, colour.share) for colour in found.colours] == [("white", 1.0)]


def test_chart(models: Models) -> None:
    image = np.full((480, 720, 3), 255, dtype=np.uint8)
    for number, height in enumerate((120, 210, 300, 180, 260)):
        left = 100 + 110 * number
        cv2.rectangle(image, (left, 400 - height), (left + 70, 400), (200, 120, 40), -1)
        place = (left + 5, 430)
        cv2.putText(image, f"Q{number + 1} 2026", place, cv2.FONT_HERSHEY_SIMPLEX, 0.5, 0, 1)
    cv2.putText(image, "Sales by quarter", (230, 50), cv2.FONT_HERSHEY_SIMPLEX, 0.9, 0, 2)
    found = gather(models, image)
    assert kind.Kind.CHART in found.verdict.kinds


def test_blur(models: Models) -> None:
    sharp = decode((EXAMPLES / "photo.jpg").read_bytes()).pixels
    blurred = np.asarray(cv2.GaussianBlur(sharp, (0, 0), 4), dtype=np.uint8)
    assert reply("Is it blurry?", gather(models, blurred), ENGLISH) == (
        "It has no sharp edges: it is blurred, or shows no fine detail. "
        "| Basis: measured on the pixels."
    )
