"""Answers to questions from the facts of real photos."""

import re

import cv2
import numpy as np
import pytest
import zxingcpp

from app.embedded.answers import vqa
from app.embedded.answers.messages import ENGLISH, KOREAN, Messages
from app.embedded.images.decode import decode_image
from app.embedded.models import Models
from app.embedded.vision.barcodes import Barcode
from app.embedded.vision.image_facts import ImageFacts
from tests.embedded.image_facts import facts_of_pixels
from tests.embedded.pictures import EXAMPLES


def answer_of(question: str, found: ImageFacts, messages: Messages = ENGLISH) -> str | None:
    answer = vqa.answer_from_facts(question, found, [], messages)
    return None if answer is None else f"{answer.text} | {answer.basis}"


@pytest.mark.parametrize(
    ("question", "pattern"),
    [
        ("Is there a cat?", r"Yes, by detection: cat 0\.\d\d\. \| Basis: "),
        ("How many cats are there?", r"1 cat detected \| Basis: detector, cat 0\.\d\d"),
        ("Is there a dog?", r"The detector found no dog with confidence\. .* \| $"),
        ("What animal is this?", r".*cat 0\.\d\d"),
        ("What kind of image is this?", r"This looks like a photo"),
        ("What colours are in the picture?", r"Main colours: brown \d+%"),
        ("What colour is the cat?", r"brown \d+%.*\| Basis: the colours in the middle of the"),
        ("Is it blurry?", r"It has sharp edges"),
        ("What does the QR code contain?", r"No QR code or barcode could be read"),
    ],
)
def test_answers_with_their_basis(cat: ImageFacts, question: str, pattern: str) -> None:
    answer = answer_of(question, cat)
    assert answer is not None
    assert re.match(pattern, answer)


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
def test_answers_in_korean(cat: ImageFacts, question: str, pattern: str) -> None:
    answer = answer_of(question, cat, KOREAN)
    assert answer is not None
    assert re.match(pattern, answer)


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
def test_more_than_the_facts_hold(cat: ImageFacts, question: str) -> None:
    assert answer_of(question, cat) is None


def test_below_the_threshold_is_no_yes(coffee: ImageFacts) -> None:
    answer = answer_of("Is there a dining table?", coffee)
    assert answer is not None
    assert answer.startswith("The detector found no dining table with confidence")
    assert re.search(r"below its threshold of 0\.60: dining table 0\.[45]\d", answer)


def test_codes(models: Models) -> None:
    code = zxingcpp.create_barcode("https://example.org/42", zxingcpp.BarcodeFormat.QRCode)
    drawn = np.asarray(zxingcpp.write_barcode_to_image(code, scale=6), dtype=np.uint8)
    page = cv2.copyMakeBorder(drawn, 60, 60, 60, 60, cv2.BORDER_CONSTANT, value=255)
    found = facts_of_pixels(
        models, np.asarray(cv2.cvtColor(page, cv2.COLOR_GRAY2BGR), dtype=np.uint8)
    )
    assert found.barcodes == (Barcode("QR Code", "https://example.org/42"),)
    answer = vqa.answer_from_facts("What does the code contain?", found, [], ENGLISH)
    assert answer is not None
    assert answer.text == "QR Code: “https://example.org/42”"


def test_blur(models: Models) -> None:
    sharp = decode_image((EXAMPLES / "photo.jpg").read_bytes()).pixels
    blurred = np.asarray(cv2.GaussianBlur(sharp, (0, 0), 4), dtype=np.uint8)
    assert answer_of("Is it blurry?", facts_of_pixels(models, blurred), ENGLISH) == (
        "It has no sharp edges: it is blurred, or shows no fine detail. "
        "| Basis: measured on the pixels."
    )
